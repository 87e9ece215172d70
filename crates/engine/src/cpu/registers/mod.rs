//! 128-bit registers: the widest that WebAssembly has. Each operation gives the same bits on every processor.
//!
//! The compiler does not find WebAssembly's and SSE2's product of 16-bit pairs by itself, so here they are called by name.

#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub use wasm::{Floats, Integers};

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Floats, Integers};

#[cfg(any(test, not(any(target_arch = "wasm32", target_arch = "x86_64"))))]
mod portable;
#[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
pub use portable::{Floats, Integers};

#[cfg(test)]
mod tests {
    use super::{Floats, Integers, portable};
    use crate::synthetic::SplitMix;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The same computation with both sets of registers.
    macro_rules! same {
        ($a:expr, $b:expr, |$x:ident, $y:ident| $result:expr) => {{
            fn native(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
                type Register = Integers;
                let ($x, $y) = (Register::from_bytes(a), Register::from_bytes(b));
                $result.to_bytes()
            }
            fn plain(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
                type Register = portable::Integers;
                let ($x, $y) = (Register::from_bytes(a), Register::from_bytes(b));
                $result.to_bytes()
            }
            assert_eq!(native($a, $b), plain($a, $b), stringify!($result));
        }};
    }

    #[test]
    fn integers_are_those_of_plain_arrays() {
        let mut random = SplitMix(3);
        let mut bytes = || -> [u8; 16] {
            bytemuck::cast([random.next().to_le_bytes(), random.next().to_le_bytes()])
        };
        for _ in 0..100 {
            let (a, b) = (bytes(), bytes());
            same!(a, b, |x, y| x.and(y));
            same!(a, b, |x, y| x.add32(y));
            same!(a, b, |x, _y| x.shr16::<4>());
            same!(a, b, |x, _y| x.shl16::<8>());
            same!(a, b, |x, _y| x.sar16::<8>());
            same!(a, b, |x, _y| x.shl32::<16>());
            same!(a, b, |x, _y| x.sar32::<3>());
            same!(a, b, |x, y| Register::add_lanes([x, y, y.add32(x), x]));
            // -2^15 squared twice overflows: no kernel has it.
            let masks = [a, b].map(|bytes| bytes.map(|byte| byte & 0x7f));
            same!(masks[0], masks[1], |x, y| x.dot16(y));
        }
        assert_eq!(
            Integers::splat16(-3).to_bytes(),
            portable::Integers::splat16(-3).to_bytes()
        );
        let words = [1, u32::MAX, 3, 4];
        assert_eq!(
            Integers::from_words(words).to_bytes(),
            bytemuck::cast::<_, [u8; 16]>(words)
        );
    }

    #[test]
    fn floats_are_those_of_plain_arrays() {
        let (a, b) = (
            [1.5e-3, -2.7, 3.3e8, f32::MIN_POSITIVE],
            [7.7, 1e-9, -0.3, 0.5],
        );
        let (x, y) = (Floats::from_array(a), Floats::from_array(b));
        let (p, q) = (
            portable::Floats::from_array(a),
            portable::Floats::from_array(b),
        );
        assert_eq!(x.add(y).to_array(), p.add(q).to_array());
        assert_eq!(x.mul(y).to_array(), p.mul(q).to_array());
        assert_eq!(
            Floats::splat(2.5).to_array(),
            portable::Floats::splat(2.5).to_array()
        );
        let words = [1, 16_777_217, -3_i32 as u32, i32::MIN as u32];
        assert_eq!(
            Integers::from_words(words).to_floats().to_array(),
            portable::Integers::from_words(words).to_floats().to_array()
        );
        let bits = a.map(f32::to_bits);
        assert_eq!(
            Integers::from_words(bits).as_floats().to_array(),
            portable::Integers::from_words(bits).as_floats().to_array()
        );
    }
}
