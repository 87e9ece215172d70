// Quants 8i .. 8i + 7 of four rows: a byte has element j in its lower and element j + 4 in its upper nibble.
fn quants8(group: u32, i: u32) -> Quants8 {
    let word = words[group * matrix.row_words + i];
    return Quants8(in_bytes(word << vec4(4u), 0xf0u), in_bytes(word, 0xf0u), 16.0);
}
