//! Dependencies between units that are not neighbours: every block of a T5's decoder reads its encoder's output.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use model::{Graph, UnitRange, WireDtype, graph::distance_bucket, transmission, wire};
use tests::{
    ModelFile,
    seq2seq::{EPS, Phones, T5},
};

const SMALL: T5 = T5 {
    hidden: 36,
    feed_forward: 52,
    heads: 3,
    head_dim: 10,
    blocks: 3,
    buckets: 8,
    vocabulary: 61,
    flan: false,
};
const FLAN: T5 = T5 {
    flan: true,
    ..SMALL
};
const SOURCE: [u32; 21] = [
    5, 17, 60, 2, 33, 33, 8, 41, 19, 0, 12, 57, 24, 3, 3, 48, 30, 11, 9, 26, 1,
];
const TOKENS: usize = 24;

fn range(start: u32, end: u32) -> UnitRange {
    UnitRange { start, end }
}

/// Everything on one phone.
fn whole(graph: &Graph, decoder: u32) -> Vec<UnitRange> {
    vec![range(0, decoder), range(decoder, graph.units.len() as u32)]
}

/// The encoder and the decoder of a file, each in pieces that go round three phones.
fn over_three(graph: &Graph, decoder: u32, cuts: [u32; 2]) -> Vec<Vec<UnitRange>> {
    let end = graph.units.len() as u32;
    let [encoder_cut, decoder_cut] = cuts;
    let middle = decoder + decoder_cut;
    vec![
        vec![range(0, encoder_cut), range(middle + 2, end)],
        vec![range(encoder_cut, decoder), range(middle, middle + 2)],
        vec![range(decoder, middle)],
    ]
}

fn decoder_start(file: &ModelFile) -> u32 {
    let mut units = (0..).zip(&file.graph.units).skip(1);
    units.find(|(_, unit)| unit.input.is_none()).unwrap().0
}

#[test]
fn a_decoder_has_three_cuts_per_block_and_reads_one_value_from_afar() {
    let file = SMALL.file(1);
    let graph = &file.graph;
    // An embedding and two units per block; another embedding, three per block, the head.
    assert_eq!(graph.units.len(), 1 + 2 * 3 + 1 + 3 * 3 + 1);
    let decoder = decoder_start(&file);
    let map = transmission::map(graph, WireDtype::F16Scaled);
    let far: Vec<_> = map.iter().filter(|sent| sent.consumers.len() > 1).collect();
    let [memory] = far[..] else {
        panic!("{far:?}");
    };
    assert_eq!(Some(memory.value), graph.memory);
    assert_eq!(memory.producer, decoder - 1);
    let cross: Vec<u32> = (0..3).map(|block| decoder + 2 + 3 * block).collect();
    assert_eq!(memory.consumers, cross, "attention across, in every block");
    let bytes = wire::bytes_per_column(WireDtype::F16Scaled, graph.hidden_width);
    assert_eq!(memory.bytes_per_column, bytes);
}

#[test]
fn three_phones_answer_as_one_and_the_encoders_output_goes_straight_to_who_reads_it() {
    for (shape, wire_dtype) in [(SMALL, WireDtype::F16Scaled), (FLAN, WireDtype::F32)] {
        let file = shape.file(7);
        let graph = &file.graph;
        let decoder = decoder_start(&file);
        let mut one = Phones::new(&file, wire_dtype, &[whole(graph, decoder)]);
        let expected = one.answer(&SOURCE, TOKENS);
        assert!(one.sent.is_empty());
        let kinds: std::collections::BTreeSet<_> = expected.0.iter().collect();
        assert!(kinds.len() > 3, "one token over and over: {:?}", expected.0);
        for cuts in [[1, 1], [3, 3], [4, 6], [6, 8]] {
            let split = over_three(graph, decoder, cuts);
            let mut three = Phones::new(&file, wire_dtype, &split);
            assert_eq!(three.answer(&SOURCE, TOKENS), expected, "cut at {cuts:?}");

            let memory = graph.memory.unwrap();
            let column_bytes = wire::bytes_per_column(wire_dtype, graph.hidden_width) as usize;
            let sent: Vec<_> = three
                .sent
                .iter()
                .filter(|sent| sent.value == memory)
                .collect();
            let producer = 1;
            let map = transmission::map(graph, wire_dtype);
            let consumers = &map
                .iter()
                .find(|sent| sent.value == memory)
                .unwrap()
                .consumers;
            let reads = |phone: &usize| {
                let mut units = split[*phone].iter().flat_map(|held| held.start..held.end);
                *phone != producer && units.any(|unit| consumers.contains(&unit))
            };
            let readers: Vec<usize> = (0..3).filter(reads).collect();
            assert_eq!(
                sent.iter().map(|sent| sent.to).collect::<Vec<_>>(),
                readers,
                "once to each phone that reads it, however many tokens follow"
            );
            assert!(
                sent.iter().all(|sent| sent.from == producer),
                "none relayed"
            );
            let bytes: usize = sent.iter().map(|sent| sent.bytes).sum();
            assert_eq!(bytes, readers.len() * SOURCE.len() * column_bytes);
            let others: usize = three.sent.iter().map(|sent| sent.bytes).sum::<usize>() - bytes;
            println!(
                "{wire_dtype:?}, cut at {cuts:?}: {bytes} bytes of encoder output to {} phones, {others} bytes of hidden states",
                readers.len()
            );
        }
    }
}

#[test]
fn the_numbers_are_those_of_a_plain_implementation() {
    for (shape, seed) in [(SMALL, 3), (FLAN, 4)] {
        let file = shape.file(seed);
        let decoder = decoder_start(&file);
        let mut phone = Phones::new(&file, WireDtype::F32, &[whole(&file.graph, decoder)]);
        let (ids, logits) = phone.answer(&SOURCE, 12);
        let expected = Plain { file: &file, shape }.logits(&SOURCE, &ids[..12]);
        let largest = expected
            .concat()
            .iter()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        for (got, expected) in logits.concat().iter().zip(expected.concat()) {
            let error = (f64::from(*got) - expected).abs() / largest;
            assert!(error < 1e-5, "{got} where {expected} belongs");
        }
    }
}

#[test]
fn distances_share_buckets_as_the_paper_says() {
    let bucket = |distance: i64, causal| {
        let key = usize::try_from(1000 + distance).unwrap();
        distance_bucket((1000, key), 32, 128, causal)
    };
    // Transformers' T5Attention._relative_position_bucket with the same numbers.
    let causal = [
        0, -1, -15, -16, -17, -20, -31, -32, -64, -127, -128, -500, 1, 9,
    ];
    let expected = [0, 1, 15, 16, 16, 17, 21, 21, 26, 31, 31, 31, 0, 0];
    assert_eq!(causal.map(|distance| bucket(distance, true)), expected);
    let both = [0, -1, -7, -8, -16, -64, -128, 1, 7, 8, 16, 64, 128, 900];
    let expected = [0, 1, 7, 8, 10, 14, 15, 17, 23, 24, 26, 30, 31, 31];
    assert_eq!(both.map(|distance| bucket(distance, false)), expected);
}

#[test]
fn what_an_encoder_or_its_decoder_cannot_do_is_refused() {
    use engine::{CpuExecutor, EngineError, Executor, Setup};
    use model::{NumericClass, WeightId};
    use pollster::block_on;

    let file = SMALL.file(1);
    let graph = &file.graph;
    let decoder = decoder_start(&file);
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 8,
        context_columns: 32,
    };
    let make = |stages: &[UnitRange]| {
        CpuExecutor::new(Setup {
            graph: graph.clone(),
            stages: stages.to_vec(),
            class,
            slots: 1,
        })
    };
    let across = make(&[range(decoder - 1, decoder + 2)]);
    assert!(matches!(across, Err(EngineError::Misuse { .. })));

    let stages = whole(graph, decoder);
    let mut executor = make(&stages).unwrap();
    for (index, weight) in (0..).zip(&graph.weights) {
        let bytes = &file.bytes[weight.range.start as usize..weight.range.end as usize];
        executor.put_rows(WeightId(index), 0, bytes).unwrap();
    }
    block_on(executor.finish_loading()).unwrap();
    let mut run = |stage, position, columns: u32| {
        let step = engine::Step {
            stage,
            slot: 0,
            position,
            columns,
            phase: engine::Phase::Prefill,
            want: engine::Want::EveryColumn,
        };
        let tokens = vec![1; columns as usize];
        block_on(executor.run(&step, engine::Input::Tokens(&tokens), &mut Vec::new()))
    };
    run(stages[0], 0, 8).unwrap();
    let refused = [run(stages[0], 8, 1), run(stages[1], 0, 1)];
    for refused in refused {
        assert!(
            matches!(refused, Err(EngineError::Misuse { .. })),
            "{refused:?}"
        );
    }
    let columns = |count: usize| vec![0.5; count * 36];
    let mut remember =
        |stage, slot, memory: &[f32]| block_on(executor.remember(stage, slot, memory));
    for (stage, slot, memory) in [
        (stages[0], 0, columns(2)),
        (stages[1], 1, columns(2)),
        (stages[1], 0, columns(0)),
        (stages[1], 0, columns(9)),
        (stages[1], 0, vec![0.5; 37]),
    ] {
        assert!(
            remember(stage, slot, &memory).is_err(),
            "{stage:?}, slot {slot}"
        );
    }
    remember(stages[1], 0, &columns(2)).unwrap();
}

/// T5 as its paper and Transformers' T5Model have it, in f64, with nothing cached and nothing shared with the engine but the file.
struct Plain<'a> {
    file: &'a ModelFile,
    shape: T5,
}

type Rows = Vec<Vec<f64>>;

impl Plain<'_> {
    fn logits(&self, source: &[u32], target: &[u32]) -> Rows {
        let memory = self.side("enc", source, None);
        let hidden = self.side("dec", target, Some(&memory));
        match self.shape.flan {
            true => self.map("output", &hidden),
            false => {
                let scale = f64::from(self.shape.hidden).sqrt();
                let rows = hidden
                    .iter()
                    .map(|row| row.iter().map(|x| x / scale).collect());
                self.map("token_embd", &rows.collect())
            }
        }
    }

    fn side(&self, side: &str, tokens: &[u32], memory: Option<&Rows>) -> Rows {
        let table = self.tensor("token_embd");
        let mut x: Rows = tokens
            .iter()
            .map(|id| table[*id as usize].clone())
            .collect();
        for block in 0..self.shape.blocks {
            let name = |part: &str| format!("{side}.blk.{block}.{part}");
            let normed = self.norm(&name("attn_norm"), &x);
            let distances = format!("{side}.blk.0.attn_rel_b");
            let bias = (distances.as_str(), memory.is_some());
            let added = self.attention(&name("attn"), &normed, &normed, Some(bias));
            x = sum(x, added);
            if let Some(memory) = memory {
                let normed = self.norm(&name("cross_attn_norm"), &x);
                let added = self.attention(&name("cross_attn"), &normed, memory, None);
                x = sum(x, added);
            }
            let normed = self.norm(&name("ffn_norm"), &x);
            let up = self.map(&name("ffn_up"), &normed);
            let inner = match self.shape.flan {
                false => each(&up, |x| x.max(0.0)),
                true => {
                    let gate = each(&self.map(&name("ffn_gate"), &normed), gelu);
                    let product = |(a, b): (&Vec<f64>, &Vec<f64>)| {
                        a.iter().zip(b).map(|(a, b)| a * b).collect()
                    };
                    gate.iter().zip(&up).map(product).collect()
                }
            };
            x = sum(x, self.map(&name("ffn_down"), &inner));
        }
        self.norm(&format!("{side}.output_norm"), &x)
    }

    fn attention(&self, name: &str, x: &Rows, other: &Rows, bias: Option<(&str, bool)>) -> Rows {
        let (heads, dim) = (self.shape.heads as usize, self.shape.head_dim as usize);
        let [q, k, v] = [("q", x), ("k", other), ("v", other)]
            .map(|(map, of)| self.map(&format!("{name}_{map}"), of));
        let table = bias.map(|(name, _)| self.tensor(name));
        let causal = bias.is_some_and(|(_, causal)| causal);
        let mut out = vec![vec![0.0; heads * dim]; x.len()];
        for (query, out) in out.iter_mut().enumerate() {
            let seen = if causal { query + 1 } else { other.len() };
            for head in 0..heads {
                let of_head = head * dim..(head + 1) * dim;
                let mut weights: Vec<f64> = (0..seen)
                    .map(|key| {
                        let pairs = q[query][of_head.clone()]
                            .iter()
                            .zip(&k[key][of_head.clone()]);
                        let raised = table.as_ref().map_or(0.0, |table| {
                            let bucket = self.bucket(key as i64 - query as i64, causal);
                            table[bucket][head]
                        });
                        pairs.map(|(a, b)| a * b).sum::<f64>() + raised
                    })
                    .collect();
                let most = weights.iter().copied().fold(f64::MIN, f64::max);
                weights
                    .iter_mut()
                    .for_each(|weight| *weight = (*weight - most).exp());
                let total: f64 = weights.iter().sum();
                for (key, weight) in weights.iter().enumerate() {
                    for at in of_head.clone() {
                        out[at] += weight / total * v[key][at];
                    }
                }
            }
        }
        self.map(&format!("{name}_o"), &out)
    }

    /// Transformers' T5Attention._relative_position_bucket.
    fn bucket(&self, relative: i64, causal: bool) -> usize {
        let mut buckets = i64::from(self.shape.buckets);
        let mut first = 0;
        let mut distance = -relative.min(0);
        if !causal {
            buckets /= 2;
            first = if relative > 0 { buckets } else { 0 };
            distance = relative.abs();
        }
        let exact = buckets / 2;
        let grown = || {
            let share = (distance as f64 / exact as f64).ln() / (128.0 / exact as f64).ln();
            (exact + (share * (buckets - exact) as f64) as i64).min(buckets - 1)
        };
        let bucket = if distance < exact { distance } else { grown() };
        (first + bucket) as usize
    }

    fn norm(&self, name: &str, x: &Rows) -> Rows {
        let gain = &self.tensor(name)[0];
        let normed = x.iter().map(|row| {
            let square = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
            let scale = 1.0 / (square + f64::from(EPS)).sqrt();
            row.iter()
                .zip(gain)
                .map(|(x, gain)| x * scale * gain)
                .collect()
        });
        normed.collect()
    }

    fn map(&self, name: &str, x: &Rows) -> Rows {
        let matrix = self.tensor(name);
        let product = |x: &Vec<f64>| {
            let row = |row: &Vec<f64>| row.iter().zip(x).map(|(a, b)| a * b).sum();
            matrix.iter().map(row).collect()
        };
        x.iter().map(product).collect()
    }

    fn tensor(&self, name: &str) -> Rows {
        let name = format!("{name}.weight");
        let mut weights = self.file.graph.weights.iter();
        let weight = weights.find(|weight| weight.name == name).unwrap();
        let bytes = &self.file.bytes[weight.range.start as usize..weight.range.end as usize];
        let numbers: Vec<f64> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|number| f64::from(f32::from_le_bytes(*number)))
            .collect();
        numbers
            .chunks(weight.cols as usize)
            .map(<[f64]>::to_vec)
            .collect()
    }
}

fn sum(a: Rows, b: Rows) -> Rows {
    let add = |(a, b): (Vec<f64>, Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
    a.into_iter().zip(b).map(add).collect()
}

fn each(x: &Rows, function: impl Fn(f64) -> f64) -> Rows {
    x.iter()
        .map(|row| row.iter().map(|x| function(*x)).collect())
        .collect()
}

fn gelu(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}
