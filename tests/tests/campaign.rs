//! Random faults in random rooms. `cargo xtask sim --seed N` tells one seed in full.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use tests::campaign::play;

fn survive(seeds: std::ops::Range<u64>) {
    let failed = seeds
        .map(play)
        .filter_map(|story| Some((story.seed, story.failure?)));
    let failed: Vec<_> = failed.collect();
    assert!(
        failed.is_empty(),
        "{failed:#?}\ncargo xtask sim --seed {}",
        failed[0].0
    );
}

#[test]
fn five_hundred_rooms_in_trouble_write_what_one_phone_writes() {
    survive(0..500);
}

#[test]
#[ignore = "minutes; ./test --full"]
fn ten_thousand_rooms_in_trouble_write_what_one_phone_writes() {
    survive(500..10_500);
}
