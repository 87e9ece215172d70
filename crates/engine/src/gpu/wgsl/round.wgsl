// Rounds every column in place to halves of x / 2^e, with e = ceil(log2(max |x|)) - 15: what the wire carries at a cut.
// Integers only, so that no driver rounds otherwise or flushes what is small.
struct Shape {
    width: u32,   // elements per column
    stride: u32,  // elements per column in memory
}
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> x: array<u32>;               // columns x stride, bits of f32

const LANES = 64u;
const MAGNITUDE = 0x7fffffffu;
const INFINITY = 0x7f800000u;
var<workgroup> parts: array<u32, LANES>;

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

fn rounded(bits: u32, e: i32) -> u32 {
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

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = (call.first_column + group.y) * shape.stride;
    var largest = 0u;
    for (var i = lane; i < shape.width; i += LANES) {
        largest = max(largest, x[column + i] & MAGNITUDE);
    }
    parts[lane] = largest;
    workgroupBarrier();
    for (var other = 0u; other < LANES; other++) {
        largest = max(largest, parts[other]);
    }
    let e = scale_exponent(largest);
    for (var i = lane; i < shape.width; i += LANES) {
        x[column + i] = rounded(x[column + i], e);
    }
}
