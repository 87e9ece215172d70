//! Kernels against double precision, on odd shapes, with dequantisation written a second time.

use half::f16;
use model::{Activation, DType, Frequencies, Pairing, WeightId, graph::alibi_slope};
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    activation_functions,
    attention::Cache,
    dequantise, elementwise, interleaved,
    linear::{Matrix, Scratch, linear, linear_portable},
    rope::rotate,
};
use crate::segment::{Heads, Rotations};

fn half(bytes: &[u8]) -> f64 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f64()
}

/// Element `index` of a row, by the definition in ggml-common.h.
fn element(dtype: DType, row: &[u8], index: usize) -> f64 {
    let block = &row[index / 32 * dtype.block_bytes() as usize..];
    let (index, nibble) = (index % 32, |quants: &[u8], index: usize| {
        let byte = quants[index % 16];
        f64::from(if index < 16 { byte & 0x0f } else { byte >> 4 })
    });
    match dtype {
        DType::Q8_0 => half(block) * f64::from(block[2 + index] as i8),
        DType::Q4_0 => half(block) * (nibble(&block[2..], index) - 8.0),
        DType::Q4_1 => half(block) * nibble(&block[4..], index) + half(&block[2..]),
        _ => unreachable!("is turned into f32 first"),
    }
}

fn elements(dtype: DType, row: &[u8], cols: usize) -> Vec<f64> {
    match dtype {
        DType::F32 => row
            .chunks(4)
            .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())))
            .collect(),
        DType::F16 => row.chunks(2).map(half).collect(),
        DType::Q8_0 | DType::Q4_0 | DType::Q4_1 => {
            (0..cols).map(|index| element(dtype, row, index)).collect()
        }
        // Against bytes of another program: tests/formats.rs.
        _ => {
            let mut elements = vec![f32::NAN; cols];
            dequantise::row(dtype, row, &mut elements);
            elements.into_iter().map(f64::from).collect()
        }
    }
}

/// A weight in file layout whose scales and elements are ordinary numbers.
fn weight_bytes(dtype: DType, rows: usize, cols: usize, seed: u64) -> Vec<u8> {
    let mut random = crate::synthetic::SplitMix(seed);
    let mut number = move || random.uniform() * 2.0 - 1.0;
    let mut bytes = Vec::new();
    for _ in 0..rows * cols / dtype.block_elements() as usize {
        match dtype {
            DType::F32 => bytes.extend((number() as f32).to_le_bytes()),
            DType::F16 => bytes.extend(f16::from_f64(number()).to_le_bytes()),
            DType::BF16 => bytes.extend(&(number() as f32).to_le_bytes()[2..]),
            _ => {
                let start = bytes.len();
                (0..dtype.block_bytes()).for_each(|_| bytes.push((number() * 128.0) as i8 as u8));
                for at in dtype.halves() {
                    let half = f16::from_f64(number()).to_le_bytes();
                    bytes[start + at..start + at + 2].copy_from_slice(&half);
                }
            }
        }
    }
    bytes
}

/// As an executor keeps them.
fn stored(dtype: DType, rows: usize, row_bytes: usize, bytes: &[u8]) -> Vec<u8> {
    if !dtype.has_integer_products() {
        return bytes.to_vec();
    }
    let mut stored = vec![0; interleaved::padded_rows(rows) * row_bytes];
    // In two pieces, the later rows first.
    let (first, later) = bytes.split_at(rows / 2 * row_bytes);
    interleaved::store(&mut stored, dtype, row_bytes, rows / 2, later);
    interleaved::store(&mut stored, dtype, row_bytes, 0, first);
    stored
}

fn numbers(len: usize) -> impl Strategy<Value = Vec<f32>> {
    vec(-2.0_f32..2.0, len)
}

/// A weight's shape: (dtype, rows, cols, columns of input).
fn shapes() -> impl Strategy<Value = (DType, usize, usize, usize)> {
    (
        prop::sample::select(&DType::ALL[..]),
        1..13_usize,
        1..70_usize,
        1..6_usize,
    )
        .prop_map(|(dtype, rows, cols, columns)| {
            let blocks = cols.div_ceil(dtype.block_elements() as usize);
            (
                dtype,
                rows,
                blocks * dtype.block_elements() as usize,
                columns,
            )
        })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::with_cases(200)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn linear_matches_double_precision(
        (shape, x) in shapes().prop_flat_map(|shape| (Just(shape), numbers(shape.2 * shape.3))),
        seed: u64,
    ) {
        let (dtype, rows, cols, columns) = shape;
        let bytes = weight_bytes(dtype, rows, cols, seed);
        let row_bytes = bytes.len() / rows;
        let (mut out, mut scratch) = (vec![f32::NAN; rows * columns], Scratch::new(cols, cols, columns).unwrap());
        let stored = stored(dtype, rows, row_bytes, &bytes);
        let weight = Matrix { dtype, rows, cols, row_bytes, bytes: &stored };
        for row in 0..rows {
            let mut found = vec![f32::NAN; cols];
            weight.dequantise_row(row, &mut found);
            let exact = elements(dtype, &bytes[row * row_bytes..(row + 1) * row_bytes], cols);
            prop_assert!(found.iter().zip(exact).all(|(found, exact)| (f64::from(*found) - exact).abs() <= 1e-6 * exact.abs().max(20.0)));
        }
        linear(weight, &x, &mut out, &mut scratch);
        let mut narrow = vec![f32::NAN; out.len()];
        linear_portable(weight, &x, &mut narrow, &mut scratch);
        prop_assert_eq!(bits(&narrow), bits(&out), "register widths differ");
        for column in 0..columns {
            let x = &x[column * cols..(column + 1) * cols];
            for row in 0..rows {
                let w = elements(dtype, &bytes[row * row_bytes..(row + 1) * row_bytes], cols);
                let products = || w.iter().zip(x).map(|(w, x)| w * f64::from(*x));
                let (exact, size): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
                let error = (f64::from(out[column * rows + row]) - exact).abs();
                // Of a block's largest x, half a step of 16 bits.
                let rounding = match dtype.has_integer_products() {
                    false => 0.0,
                    true => w.chunks(32).zip(x.chunks(32)).map(|(w, x)| {
                        let largest = x.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
                        w.iter().map(|w| w.abs()).sum::<f64>() * f64::from(largest) / 65534.0
                    }).sum(),
                };
                prop_assert!(error <= rounding + 1e-6 * size + 1e-30, "{dtype:?} row {row} column {column}: error {error}, size {size}");
            }
            // Alone, a column has the same bits.
            let mut alone = vec![f32::NAN; rows];
            linear(weight, x, &mut alone, &mut scratch);
            prop_assert_eq!(bits(&alone), bits(&out[column * rows..(column + 1) * rows]));
        }
    }

    #[test]
    fn attention_matches_double_precision(
        (kv_heads, group, head_dim, position, columns) in (1..4_usize, 1..4_usize, 1..20_usize, 0..19_usize, 1..5_usize),
        window in prop_oneof![Just(usize::MAX), 1..12_usize],
        alibi: bool,
        seed: u64,
    ) {
        let mut random = crate::synthetic::SplitMix(seed);
        let mut number = || (random.uniform() * 4.0 - 2.0) as f32;
        let (heads, kv_width) = (kv_heads * group, kv_heads * head_dim);
        let context = position + columns;
        let keys: Vec<f32> = (0..context * kv_width).map(|_| number()).collect();
        let values: Vec<f32> = (0..context * kv_width).map(|_| number()).collect();
        let queries: Vec<f32> = (0..columns * heads * head_dim).map(|_| number()).collect();
        let mut cache = Cache::new(kv_width, vec![0.0; context * kv_width], vec![0.0; context * kv_width]);
        cache.write(0, &keys, &values);
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut out = vec![f32::NAN; queries.len()];
        cache.attend(Heads { heads, kv_heads, head_dim, scale, window, alibi }, position, &queries, &mut vec![f32::NAN; context], &mut out);

        for (index, (query, out)) in queries.chunks(head_dim).zip(out.chunks(head_dim)).enumerate() {
            let (column, head) = (index / heads, index % heads);
            let at = |rows: &[f32], row: usize, element: usize| f64::from(rows[row * kv_width + head / group * head_dim + element]);
            let visible = position + column + 1;
            let slope = if alibi { f64::from(alibi_slope(head as u32, heads as u32)) } else { 0.0 };
            let score = |row| {
                let product = (0..head_dim).map(|e| f64::from(query[e]) * at(&keys, row, e)).sum::<f64>();
                product * f64::from(scale) - slope * (visible - 1 - row) as f64
            };
            let seen = |row: usize| visible - row <= window;
            let weights: Vec<f64> = (0..visible).map(|row| if seen(row) { score(row).exp() } else { 0.0 }).collect();
            let total: f64 = weights.iter().sum();
            for (element, out) in out.iter().enumerate() {
                let exact = (0..visible).map(|row| weights[row] * at(&values, row, element)).sum::<f64>() / total;
                prop_assert!((f64::from(*out) - exact).abs() < 1e-5, "column {column} head {head}: {out} {exact}");
            }
        }
    }

    #[test]
    fn norms_match_double_precision((gain, bias, x) in (1..40_usize).prop_flat_map(|width| (numbers(width), numbers(width), numbers(3 * width)))) {
        let (width, eps) = (gain.len(), 1e-5_f32);
        let (mut rms, mut layer) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        elementwise::rms_norm(&x, &gain, eps, &mut rms);
        elementwise::layer_norm(&x, &gain, &bias, eps, &mut layer);
        for (index, value) in x.iter().copied().map(f64::from).enumerate() {
            let column = &x[index / width * width..][..width];
            let mean_of = |f: &dyn Fn(f64) -> f64| column.iter().map(|x| f(f64::from(*x))).sum::<f64>() / width as f64;
            let (gain, bias) = (f64::from(gain[index % width]), f64::from(bias[index % width]));
            let exact = value / (mean_of(&|x| x * x) + f64::from(eps)).sqrt() * gain;
            prop_assert!((f64::from(rms[index]) - exact).abs() <= 1e-6 * exact.abs() + 1e-7);
            let mean = mean_of(&|x| x);
            let inverse = 1.0 / (mean_of(&|x| (x - mean).powi(2)) + f64::from(eps)).sqrt();
            let exact = (value - mean) * inverse * gain + bias;
            // The mean of a few numbers is off by their last bits, which a small variance makes large.
            prop_assert!((f64::from(layer[index]) - exact).abs() <= 1e-6 * (1.0 + inverse), "{} {exact}", layer[index]);
        }
    }

    #[test]
    fn activations_match_double_precision((x, up) in (1..40_usize).prop_flat_map(|width| (vec(-12.0_f32..12.0, width), numbers(width)))) {
        for function in [Activation::Silu, Activation::Gelu, Activation::Relu] {
            let (mut active, mut gated) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            activation_functions::activate(function, &x, &mut active);
            activation_functions::gate(function, &x, &up, &mut gated);
            for (index, value) in x.iter().copied().map(f64::from).enumerate() {
                let tanh = (core::f64::consts::FRAC_2_PI.sqrt() * (value + 0.044_715 * value.powi(3))).tanh();
                let exact = match function {
                    Activation::Silu => value / (1.0 + (-value).exp()),
                    Activation::Gelu => 0.5 * value * (1.0 + tanh),
                    Activation::Relu => value.max(0.0),
                };
                prop_assert!((f64::from(active[index]) - exact).abs() <= 2e-6 * exact.abs() + 1e-6, "{function:?}({value})");
                prop_assert_eq!(gated[index].to_bits(), (active[index] * up[index]).to_bits());
            }
        }
    }

    #[test]
    fn rotation_matches_double_precision(
        (heads, head_dim, pairs, position, columns) in (1..4_usize, 2..20_usize, 1..10_usize, 0..8000_usize, 1..4_usize),
        x in numbers(3 * 3 * 20),
    ) {
        let rotary_dim = (2 * pairs).min(head_dim / 2 * 2);
        let width = heads * head_dim;
        let x = &x[..columns * width];
        let frequencies = Frequencies { rotary_dim: rotary_dim as u32, base: 10_000.0, scale: 0.25, factors: Some(WeightId(7)) };
        let factors: Vec<f32> = (0..rotary_dim / 2).map(|pair| 1.0 + pair as f32 / 3.0).collect();
        let mut rotations = Rotations::default();
        rotations.add(frequencies, 8);
        let bytes: Vec<u8> = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
        rotations.put_factors(WeightId(7), &bytes).unwrap();
        // The call has one column more than is needed.
        rotations.prepare(position, columns + 1);
        let angles = rotations.of(frequencies).unwrap().cos_sin();
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let mut out = vec![f32::NAN; x.len()];
            rotate(pairing, angles, rotary_dim, x, width, head_dim, &mut out);
            for (index, found) in out.iter().enumerate() {
                let element = index % head_dim;
                if element >= rotary_dim {
                    prop_assert_eq!(*found, x[index]);
                    continue;
                }
                let half = rotary_dim / 2;
                let (pair, second, distance) = match pairing {
                    Pairing::Neighbours => (element / 2, element % 2 == 1, 1),
                    Pairing::Halves => (element % half, element >= half, half),
                };
                let frequency = 0.25 * 10_000_f64.powf(-2.0 * pair as f64 / rotary_dim as f64) / f64::from(factors[pair]);
                let angle = (position + 1 + index / width) as f64 * frequency;
                let first = if second { index - distance } else { index };
                let (a, b) = (f64::from(x[first]), f64::from(x[first + distance]));
                let exact = if second { a * angle.sin() + b * angle.cos() } else { a * angle.cos() - b * angle.sin() };
                prop_assert!((f64::from(*found) - exact).abs() < 1e-6);
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
