// What the wire carries of a column at a cut: halves of x / 2^e, with e = ceil(log2(max |x|)) - 15.
// Integers only, so that no driver rounds otherwise or flushes what is small.
const MAGNITUDE = 0x7fffffffu;
const INFINITY = 0x7f800000u;

// A finite magnitude is mantissa * 2^power.
fn mantissa(bits: u32) -> u32 {
    return (bits & 0x7fffffu) | select(0u, 0x800000u, bits >= 0x800000u);
}
fn power(bits: u32) -> i32 {
    return max(i32(bits >> 23u), 1) - 150;
}

// Of the column whose largest magnitude is this.
fn scale_exponent(largest: u32) -> i32 {
    if largest == 0u {
        return 0;
    }
    if largest >= INFINITY {
        return 113;
    }
    let m = mantissa(largest);
    let top = firstLeadingBit(m);
    return i32(top) + power(largest) + select(0, 1, m != (1u << top)) - 15;
}

// m / 2^shift to the nearest integer, ties to even; shift is at least 1.
fn shifted_to_nearest(m: u32, shift: u32) -> u32 {
    if shift > 25u {
        return 0u;
    }
    let floor = m >> shift;
    let rest = m & ((1u << shift) - 1u);
    let middle = 1u << (shift - 1u);
    return floor + select(0u, 1u, rest > middle || (rest == middle && (floor & 1u) == 1u));
}

// The magnitude of n * 2^p, which f32 holds unless it is too large.
fn magnitude(n: u32, p: i32) -> u32 {
    if n == 0u {
        return 0u;
    }
    let top = firstLeadingBit(n);
    let exponent = i32(top) + p;
    if exponent > 127 {
        return INFINITY - 1u;
    }
    if exponent < -126 {
        return n << u32(p + 149);
    }
    return (u32(exponent + 127) << 23u) | ((n << (23u - top)) & 0x7fffffu);
}

fn rounded_bits(bits: u32, e: i32) -> u32 {
    let size = bits & MAGNITUDE;
    if size == 0u || size >= INFINITY {
        return bits;
    }
    let m = mantissa(size);
    // A half has 11 bits, fewer below 2^-14.
    let quantum = max(i32(firstLeadingBit(m)) + power(size) - e - 10, -24) + e;
    let shift = quantum - power(size);
    if shift <= 0 {
        return bits;
    }
    return (bits & ~MAGNITUDE) | magnitude(shifted_to_nearest(m, u32(shift)), quantum);
}

// How a column is rounded.
struct Rounding {
    exponent: i32,
    plain: u32,  // from this magnitude on, a half has 11 bits and f32 holds what is rounded
}

// As it is: the column was rounded before.
const KEPT = Rounding(0, 0u);

fn rounding_to(largest: u32) -> Rounding {
    let e = scale_exponent(largest);
    let is_plain = e - 14 >= -126 && e < 112;
    return Rounding(e, select(NONE, u32(max(e - 14 + 127, 1)) << 23u, is_plain));
}

fn rounded(x: f32, r: Rounding) -> f32 {
    if r.plain == 0u {
        return x;
    }
    return bitcast<f32>(rounded_bits(bitcast<u32>(x), r.exponent));
}

fn rounded4(x: vec4<f32>, r: Rounding) -> vec4<f32> {
    if r.plain == 0u {
        return x;
    }
    let bits = bitcast<vec4<u32>>(x);
    if all((bits & vec4(MAGNITUDE)) >= vec4(r.plain)) {
        let odd = (bits >> vec4(13u)) & vec4(1u);
        return bitcast<vec4<f32>>((bits + 0xfffu + odd) & vec4(0xffffe000u));
    }
    return vec4(rounded(x.x, r), rounded(x.y, r), rounded(x.z, r), rounded(x.w, r));
}
