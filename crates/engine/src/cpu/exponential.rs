//! e^x from additions and products only, so that the compiler can put several into one register.

/// e^x, to 2e-7 of it. Beyond -87.3..88.3, where a single has no such number, the value at the end of the range.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.3);
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits.
    const TO_WHOLE: f32 = 12_582_912.0;
    let shifted = x * core::f32::consts::LOG2_E + TO_WHOLE;
    let exponent = shifted - TO_WHOLE;
    let power_of_two = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    // ln 2 in two parts: the first has so few bits that its product is exact. Coefficients from Cephes' expf (Moshier).
    let r = x - exponent * 0.693_359_4 - exponent * -2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        series = series * r + coefficient;
    }
    (series * r * r + r + 1.0) * power_of_two
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn close_to_double_precision_everywhere() {
        for step in -87_300..=88_300 {
            let x = step as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "e^{x}: {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn ends_of_the_range() {
        for (x, end) in [
            (-1e30, -87.3),
            (f32::NEG_INFINITY, -87.3),
            (1e30, 88.3),
            (f32::INFINITY, 88.3),
        ] {
            assert_eq!(exp(x), exp(end));
            assert!(exp(x).is_normal());
        }
        assert!(exp(f32::NAN).is_nan());
    }
}
