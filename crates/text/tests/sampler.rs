//! Choosing tokens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use text::{Sampler, Sampling};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

/// Shares of each id in many draws.
fn shares(sampling: Sampling, logits: &[f32]) -> Vec<f64> {
    const DRAWS: u32 = 20_000;
    let mut sampler = Sampler::new(sampling, 7).unwrap();
    let mut counts = vec![0; logits.len()];
    for _ in 0..DRAWS {
        counts[sampler.next(logits, &[]) as usize] += 1;
    }
    counts
        .into_iter()
        .map(|count| f64::from(count) / f64::from(DRAWS))
        .collect()
}

fn warm() -> Sampling {
    Sampling {
        temperature: 1.0,
        ..Sampling::default()
    }
}

#[test]
fn greedy_takes_the_likeliest_and_of_equals_the_first() {
    let mut greedy = Sampler::new(Sampling::default(), 1).unwrap();
    assert_eq!(greedy.next(&LOGITS, &[]), 1);
    assert_eq!(greedy.next(&[-0.0, 0.0], &[]), 0);
    assert_eq!(greedy.next(&[0.0, -0.0], &[]), 0);
}

#[test]
fn draws_follow_the_softmax_at_any_temperature() {
    for temperature in [0.5_f32, 1.0, 2.0] {
        let drawn = shares(
            Sampling {
                temperature,
                ..warm()
            },
            &LOGITS,
        );
        let weights: Vec<f64> = LOGITS
            .iter()
            .map(|&logit| f64::from(logit / temperature).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        for (share, weight) in drawn.iter().zip(&weights) {
            assert!(
                (share - weight / total).abs() < 0.015,
                "{temperature}: {drawn:?}"
            );
        }
    }
}

#[test]
fn top_k_top_p_and_min_p_leave_only_the_likely() {
    let kept = |sampling| {
        shares(sampling, &LOGITS)
            .iter()
            .map(|&share| share > 0.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kept(Sampling { top_k: 3, ..warm() }),
        [false, true, true, true, false]
    );
    // The two likeliest hold 0.40 each, the next 0.15.
    assert_eq!(
        kept(Sampling {
            top_p: 0.75,
            ..warm()
        }),
        [false, true, false, true, false]
    );
    assert_eq!(
        kept(Sampling {
            top_p: 0.85,
            ..warm()
        }),
        [false, true, true, true, false]
    );
    // Relative to the likeliest: 0.135, 1, 0.37, 1, 0.018.
    assert_eq!(
        kept(Sampling {
            min_p: 0.2,
            ..warm()
        }),
        [false, true, true, true, false]
    );
    assert_eq!(
        kept(Sampling {
            min_p: 0.1,
            ..warm()
        }),
        [true, true, true, true, false]
    );
}

#[test]
fn the_repeat_penalty_counts_a_token_once_and_forgets_it() {
    let sampling = Sampling {
        repeat_penalty: 2.0,
        repeat_last_n: 3,
        ..Sampling::default()
    };
    let mut sampler = Sampler::new(sampling, 1).unwrap();
    // Seen twice, halved once: 6 -> 3 stays above 2.
    assert_eq!(sampler.next(&[6.0, 2.0], &[0, 0]), 0);
    assert_eq!(sampler.next(&[3.0, 2.0], &[0]), 1);
    assert_eq!(sampler.next(&[3.0, 2.0], &[0, 5, 5, 5]), 0);
    // Negative logits become less likely too.
    assert_eq!(sampler.next(&[-1.0, -1.5], &[0]), 1);
}

#[test]
fn a_seed_decides_every_draw() {
    let draws = |seed| {
        let mut sampler = Sampler::new(warm(), seed).unwrap();
        (0..64)
            .map(|_| sampler.next(&LOGITS, &[]))
            .collect::<Vec<_>>()
    };
    assert_eq!(draws(5), draws(5));
    assert_ne!(draws(5), draws(6));
}

#[test]
fn drawing_goes_on_as_if_it_had_never_stopped() {
    for sampling in [warm(), Sampling::default()] {
        let mut undisturbed = Sampler::new(sampling, 5).unwrap();
        let draws: Vec<_> = (0..64).map(|_| undisturbed.next(&LOGITS, &[])).collect();
        let mut behind = Sampler::new(sampling, 5).unwrap();
        behind.skip(40);
        let rest: Vec<_> = (40..64).map(|_| behind.next(&LOGITS, &[])).collect();
        assert_eq!(rest, draws[40..]);
    }
}

#[test]
fn impossible_logits_do_not_panic() {
    for sampling in [
        Sampling::default(),
        warm(),
        Sampling {
            top_k: 2,
            top_p: 0.5,
            min_p: 0.1,
            ..warm()
        },
    ] {
        let mut sampler = Sampler::new(sampling, 3).unwrap();
        assert_eq!(sampler.next(&[f32::NAN, 1.0, f32::NAN], &[]), 1);
        assert_eq!(
            sampler.next(&[0.0, f32::INFINITY, f32::NEG_INFINITY], &[]),
            1
        );
        assert_eq!(sampler.next(&[], &[]), 0);
        assert!(sampler.next(&[f32::NAN; 4], &[9]) < 4);
    }
}

#[test]
fn options_outside_their_range_are_refused() {
    let refused = [
        Sampling {
            temperature: -1.0,
            ..warm()
        },
        Sampling {
            temperature: f32::NAN,
            ..warm()
        },
        Sampling {
            top_p: 0.0,
            ..warm()
        },
        Sampling {
            top_p: 1.5,
            ..warm()
        },
        Sampling {
            min_p: 1.0,
            ..warm()
        },
        Sampling {
            repeat_penalty: 0.0,
            ..warm()
        },
    ];
    for sampling in refused {
        assert_eq!(
            Sampler::new(sampling, 1).err().unwrap().code(),
            "text.sampling",
            "{sampling:?}"
        );
    }
}
