//! Dot products in one fixed order, so that every platform, tile shape and column count gives the same bits.
//!
//! Lane `l` sums the products of elements `l`, `l + LANES`, `l + 2 * LANES`, ... one after the other; the lanes are then added
//! pairwise. Products are rounded before they are added: no fused multiply-add, which WebAssembly does not have.

use core::array::from_fn;

/// Independent running sums of one dot product. Two 128-bit registers, or one of 256 bits.
pub const LANES: usize = 8;

type Lanes = [f32; LANES];

#[inline(always)]
fn add_product(sum: Lanes, a: &Lanes, b: &Lanes) -> Lanes {
    from_fn(|lane| sum[lane] + a[lane] * b[lane])
}

/// The remainder of a row enters the first lanes.
#[inline(always)]
fn add_tail(mut sum: Lanes, a: &[f32], b: &[f32]) -> Lanes {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
    sum
}

#[inline(always)]
fn add_pairwise(sum: Lanes) -> f32 {
    let fours: [f32; 4] = from_fn(|lane| sum[lane] + sum[lane + 4]);
    let twos: [f32; 2] = from_fn(|lane| fours[lane] + fours[lane + 2]);
    twos[0] + twos[1]
}

/// `rows` x `columns` dot products at once; each has the same bits as it has alone.
#[inline(always)]
pub fn dot_tile<const ROWS: usize, const COLUMNS: usize>(
    rows: [&[f32]; ROWS],
    columns: [&[f32]; COLUMNS],
) -> [[f32; COLUMNS]; ROWS] {
    let rows = rows.map(|row| row.as_chunks::<LANES>());
    let columns = columns.map(|column| column.as_chunks::<LANES>());
    let steps = rows
        .iter()
        .chain(&columns)
        .map(|(whole, _)| whole.len())
        .min()
        .unwrap_or(0);
    let rows_whole = rows.map(|(whole, _)| &whole[..steps]);
    let columns_whole = columns.map(|(whole, _)| &whole[..steps]);

    let mut sums = [[[0.0_f32; LANES]; COLUMNS]; ROWS];
    for step in 0..steps {
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                sums[row][column] = add_product(
                    sums[row][column],
                    &rows_whole[row][step],
                    &columns_whole[column][step],
                );
            }
        }
    }
    from_fn(|row| {
        from_fn(|column| add_pairwise(add_tail(sums[row][column], rows[row].1, columns[column].1)))
    })
}

/// Sum of `a[i] * b[i]`.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_tile([a], [b])[0][0]
}

/// Sum of all elements, in the order of [`dot`].
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    let (whole, tail) = x.as_chunks::<LANES>();
    let mut sums = whole.iter().fold([0.0; LANES], |sums: Lanes, x| {
        from_fn(|lane| sums[lane] + x[lane])
    });
    for (sum, x) in sums.iter_mut().zip(tail) {
        *sum += x;
    }
    add_pairwise(sums)
}
