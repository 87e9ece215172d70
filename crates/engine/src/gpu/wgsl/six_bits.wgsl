// Quants 8i .. 8i + 7 of four rows. Of each 32, four words have the lower four bits: a byte has element j in its lower and element
// j + 4 in its upper nibble. Two have the pairs of bits above them: byte j has two of every eight elements, the first ones lowest.
fn quants8(group: u32, i: u32) -> Quants8 {
    let at = group * matrix.row_words + i / 4u * 6u;
    let word = words[at + (i & 3u)];
    let upper = words[at + 4u + (i & 2u) / 2u] >> vec4(4u * (i & 1u));
    return Quants8(
        in_bytes(word << vec4(2u), 0x3cu) | in_bytes(upper << vec4(6u), 0xc0u),
        in_bytes(word >> vec4(2u), 0x3cu) | in_bytes(upper << vec4(4u), 0xc0u),
        64.0,
    );
}
