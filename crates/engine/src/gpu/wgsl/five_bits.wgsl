// Quants 8i .. 8i + 7 of four rows. Of each 32, four words have the lower four bits: a byte has element j in its lower and element
// j + 4 in its upper nibble. A fifth has the bits above them: byte j has two of every eight elements, the first ones lowest.
fn quants8(group: u32, i: u32) -> Quants8 {
    let at = group * matrix.row_words + i / 4u * 5u;
    let word = words[at + (i & 3u)];
    let upper = words[at + 4u] >> vec4(2u * (i & 3u));
    return Quants8(
        in_bytes(word << vec4(3u), 0x78u) | in_bytes(upper << vec4(7u), 0x80u),
        in_bytes(word >> vec4(1u), 0x78u) | in_bytes(upper << vec4(6u), 0x80u),
        32.0,
    );
}
