//! The residual stream between phones: rounding at cuts, bytes on the wire.
//!
//! [`WireDtype::F16Scaled`] stores a column as halves of x / 2^e, with e = ceil(log2(max |x|)) - 15, so the largest is at most 2^15.
//! Rounding is idempotent: a rounded column has the same e or one less, and a finer scale loses nothing.

use half::f16;

use crate::{class::WireDtype, error::ModelError};

/// Bytes of the exponent before a column of halves.
const EXPONENT_BYTES: usize = 4;
/// The largest element of a scaled column is at most 2 to this.
const TOP_EXPONENT: i32 = 15;

/// Bytes of one column of `width` elements.
pub const fn bytes_per_column(dtype: WireDtype, width: u32) -> u64 {
    match dtype {
        WireDtype::F32 => 4 * width as u64,
        WireDtype::F16Scaled => EXPONENT_BYTES as u64 + 2 * width as u64,
    }
}

/// Rounds columns x width values to what [`encode`] keeps of them.
pub fn round_columns(dtype: WireDtype, width: u32, values: &mut [f32]) {
    if dtype == WireDtype::F32 {
        return;
    }
    for column in values.chunks_mut((width as usize).max(1)) {
        let exponent = exponent(column);
        for value in column {
            *value = scaled_up(to_half(*value, exponent), exponent);
        }
    }
}

/// Appends columns x width values, each column as [`bytes_per_column`] bytes.
pub fn encode(dtype: WireDtype, width: u32, values: &[f32], bytes: &mut Vec<u8>) {
    match dtype {
        WireDtype::F32 => values
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes())),
        WireDtype::F16Scaled => {
            for column in values.chunks((width as usize).max(1)) {
                let exponent = exponent(column);
                bytes.extend(exponent.to_le_bytes());
                for value in column {
                    bytes.extend(to_half(*value, exponent).to_le_bytes());
                }
            }
        }
    }
}

/// Appends `columns` x `width` values.
///
/// # Errors
/// Bytes of another length, exponents no encoder writes, values that are not finite.
pub fn decode(
    dtype: WireDtype,
    width: u32,
    columns: u32,
    bytes: &[u8],
    values: &mut Vec<f32>,
) -> Result<(), ModelError> {
    let refused = |detail: &str| ModelError::Columns {
        detail: detail.to_owned(),
    };
    let column_bytes = usize::try_from(bytes_per_column(dtype, width))
        .map_err(|_| refused("a column is too long"))?;
    if column_bytes == 0 || Some(bytes.len()) != column_bytes.checked_mul(columns as usize) {
        return Err(refused("they have another length"));
    }
    let first = values.len();
    match dtype {
        WireDtype::F32 => {
            let (numbers, _) = bytes.as_chunks();
            values.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
        }
        WireDtype::F16Scaled => {
            for column in bytes.chunks_exact(column_bytes) {
                let (exponent, halves) = column
                    .split_first_chunk::<EXPONENT_BYTES>()
                    .ok_or_else(|| refused("a column is too short"))?;
                let exponent = i32::from_le_bytes(*exponent);
                if !(-149 - TOP_EXPONENT..=128 - TOP_EXPONENT).contains(&exponent) {
                    return Err(refused("a column has an impossible scale"));
                }
                let (halves, _) = halves.as_chunks();
                values.extend(
                    halves
                        .iter()
                        .map(|half| scaled_up(f16::from_le_bytes(*half), exponent)),
                );
            }
        }
    }
    match values.get(first..) {
        Some(new) if new.iter().all(|value| value.is_finite()) => Ok(()),
        _ => {
            values.truncate(first);
            Err(refused("a value is not finite"))
        }
    }
}

/// e of a column; 0 where every element is zero. Not finite elements stay so.
fn exponent(column: &[f32]) -> i32 {
    let largest = column
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    match largest {
        0.0 => 0,
        largest if largest.is_finite() => ceil_log2(largest) - TOP_EXPONENT,
        _ => 128 - TOP_EXPONENT,
    }
}

/// By bits, the same on every platform.
fn ceil_log2(value: f32) -> i32 {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23) as i32, bits & 0x7f_ffff);
    if exponent == 0 {
        let top_bit = 31 - fraction.leading_zeros() as i32;
        return top_bit - 149 + i32::from(!fraction.is_power_of_two());
    }
    exponent - 127 + i32::from(fraction != 0)
}

/// Multiplication by a power of two is exact; f64 so that no power overflows. The product fits an f32 (what does not is far below the
/// smallest half), so this rounds to nearest even once. Not `f16::from_f64`: its software path drops low bits of the mantissa.
fn to_half(value: f32, exponent: i32) -> f16 {
    f16::from_f32((f64::from(value) * power_of_two(-exponent)) as f32)
}

/// What no f32 holds becomes the largest that does; infinity stays, so that it is found.
fn scaled_up(half: f16, exponent: i32) -> f32 {
    let value = f64::from(half) * power_of_two(exponent);
    if half.is_finite() {
        value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    } else {
        value as f32
    }
}

fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn columns() -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(state)
        };
        let any = core::iter::from_fn(move || Some(next())).filter(|value| value.is_finite());
        let small = [
            0.0,
            -0.0,
            1.0,
            65504.0,
            65505.0,
            1e-45,
            -3e38,
            f32::MAX,
            2047.5,
            32767.9,
        ];
        small.into_iter().chain(any).take(7 * 300).collect()
    }

    #[test]
    fn rounding_twice_is_rounding_once() {
        for dtype in [WireDtype::F32, WireDtype::F16Scaled] {
            let mut once = columns();
            round_columns(dtype, 7, &mut once);
            let mut twice = once.clone();
            round_columns(dtype, 7, &mut twice);
            assert_eq!(once, twice);
        }
    }

    #[test]
    fn the_wire_keeps_rounded_columns_to_the_bit() {
        for dtype in [WireDtype::F32, WireDtype::F16Scaled] {
            let mut rounded = columns();
            round_columns(dtype, 7, &mut rounded);
            let (mut bytes, mut arrived) = (Vec::new(), Vec::new());
            encode(dtype, 7, &rounded, &mut bytes);
            assert_eq!(bytes.len() as u64, 300 * bytes_per_column(dtype, 7));
            decode(dtype, 7, 300, &bytes, &mut arrived).unwrap();
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&arrived), bits(&rounded));
        }
    }

    #[test]
    fn rounding_keeps_eleven_bits_of_the_largest() {
        let exact = columns();
        let mut rounded = exact.clone();
        round_columns(WireDtype::F16Scaled, 7, &mut rounded);
        for (exact, rounded) in exact.chunks(7).zip(rounded.chunks(7)) {
            let largest = exact
                .iter()
                .fold(0.0_f64, |m, v| m.max(f64::from(*v).abs()));
            for (exact, rounded) in exact.iter().zip(rounded) {
                assert!((f64::from(*exact) - f64::from(*rounded)).abs() <= largest / 2048.0);
            }
        }
    }

    /// Halves around `value`, by search over all of them: the nearer one, the even one of two as near.
    fn nearest_half(value: f64) -> f64 {
        let magnitude = value.abs();
        let at = |bits: u16| f16::from_bits(bits).to_f64();
        let (mut below, mut above) = (0_u16, 0x7bff_u16);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if at(middle) <= magnitude {
                below = middle;
            } else {
                above = middle;
            }
        }
        let (down, up) = (magnitude - at(below), at(above) - magnitude);
        let nearer = if down < up || (down == up && below.is_multiple_of(2)) {
            below
        } else {
            above
        };
        at(nearer).copysign(value)
    }

    #[test]
    fn every_platform_rounds_to_the_nearest_half_and_ties_to_even() {
        let ulp = f32::EPSILON;
        let mut values = Vec::new();
        for step in 0..2048_u16 {
            let tie = 1.0 + (f32::from(step) + 0.5) / 1024.0;
            for scale in [1.0, 2.0_f32.powi(-15), 2.0_f32.powi(-24)] {
                values.extend([tie - ulp, tie, tie + ulp, -tie - ulp].map(|value| value * scale));
            }
        }
        for value in values {
            let mut column = [value, 32768.0];
            round_columns(WireDtype::F16Scaled, 2, &mut column);
            assert_eq!(
                f64::from(column[0]),
                nearest_half(f64::from(value)),
                "{value}"
            );
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut out = Vec::new();
        let mut refuse = |dtype, columns, bytes: &[u8]| {
            assert_eq!(
                decode(dtype, 2, columns, bytes, &mut out)
                    .unwrap_err()
                    .code(),
                "wire.columns"
            );
            assert!(out.is_empty());
        };
        refuse(WireDtype::F32, 1, &[0; 7]);
        refuse(WireDtype::F32, u32::MAX, &[0; 8]);
        refuse(
            WireDtype::F32,
            1,
            &[[0; 4], f32::NAN.to_le_bytes()].concat(),
        );
        refuse(WireDtype::F16Scaled, 1, &[[0; 4], [0, 0x7c, 0, 0]].concat());
        refuse(
            WireDtype::F16Scaled,
            1,
            &[200_i32.to_le_bytes(), [0; 4]].concat(),
        );
    }
}
