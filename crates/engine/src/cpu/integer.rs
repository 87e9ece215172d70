//! out[r] = weight[r] . x for quantised weights: dot products of 16-bit integers, scaled block by block.
//!
//! Each output is computed by the same operations in the same order, whatever the tile it stands in. For every block, in order:
//! the minimum times the sum of x is added, then the exact integer sum of the products, times the scale of the weight times that
//! of x. The four lanes of a register are four outputs: of four rows, or of four columns.

use core::array::from_fn;

use bytemuck::cast_slice;

use super::{
    activations::{Activations, BLOCK, Panel},
    blocks::Block,
    interleaved::ROWS,
    registers::{Floats, Integers},
};

/// Lanes of a register.
const LANES: usize = ROWS;

/// `weight` has [`interleaved`](super::interleaved) rows of whole blocks; `out` is columns x rows.
#[inline(always)]
pub fn products<B: Block>(weight: &[u8], rows: usize, x: &Activations, out: &mut [f32]) {
    let (weight, _) = cast_slice::<_, B>(weight).as_chunks::<ROWS>();
    for (index, tile) in weight.chunks_exact(x.blocks()).enumerate() {
        let first_row = ROWS * index;
        let tile_rows = ROWS.min(rows - first_row);
        for (column, width) in x.panels() {
            let out = &mut out[column * rows + first_row..];
            match width {
                8 => each_row::<B, 8, 2>(tile, tile_rows, x.panel(column), out, rows),
                4 => each_row::<B, 4, 1>(tile, tile_rows, x.panel(column), out, rows),
                _ => four_rows(tile, x.panel(column), &mut out[..tile_rows]),
            }
        }
    }
}

/// A few rows with one column: one lane for each row.
#[inline(always)]
fn four_rows<B: Block>(tile: &[[B; ROWS]], x: Panel<'_, 1>, out: &mut [f32]) {
    let mut sums = Floats::splat(0.0);
    let panel = x.quants.iter().zip(x.scales).zip(x.sums);
    for (blocks, (([x], [scale]), [x_sum])) in tile.iter().zip(panel) {
        let blocks = blocks.each_ref();
        let x = registers(x);
        let products = blocks.map(|block| dot(block.quants(), x));
        let (scale, x_sum) = (Floats::splat(*scale), Floats::splat(*x_sum));
        sums = add(sums, blocks, products, scale, x_sum);
    }
    for (out, sum) in out.iter_mut().zip(sums.to_array()) {
        *out = sum;
    }
}

/// A few rows, one after the other, with the columns of a panel: one lane for each column.
#[inline(always)]
fn each_row<B: Block, const COLUMNS: usize, const REGISTERS: usize>(
    tile: &[[B; ROWS]],
    rows: usize,
    x: Panel<'_, COLUMNS>,
    out: &mut [f32],
    stride: usize,
) {
    for row in 0..rows {
        let mut sums = [Floats::splat(0.0); REGISTERS];
        let panel = x.quants.iter().zip(x.scales).zip(x.sums);
        for (blocks, ((x, scales), x_sums)) in tile.iter().zip(panel) {
            let block = &blocks[row];
            let quants = block.quants();
            for (register, sums) in sums.iter_mut().enumerate() {
                let products = from_fn(|lane| dot(quants, registers(&x[LANES * register + lane])));
                let lanes = |numbers: &[f32; COLUMNS]| {
                    Floats::from_array(from_fn(|lane| numbers[LANES * register + lane]))
                };
                *sums = add(
                    *sums,
                    [block; LANES],
                    products,
                    lanes(scales),
                    lanes(x_sums),
                );
            }
        }
        for (column, sum) in sums.iter().flat_map(|sums| sums.to_array()).enumerate() {
            out[column * stride + row] = sum;
        }
    }
}

/// One block more.
#[inline(always)]
fn add<B: Block>(
    sums: Floats,
    blocks: [&B; LANES],
    products: [Integers; LANES],
    x_scales: Floats,
    x_sums: Floats,
) -> Floats {
    let sums = match B::minima(blocks) {
        Some(minima) => sums.add(minima.mul(x_sums)),
        None => sums,
    };
    let scales = B::scales(blocks).mul(x_scales);
    sums.add(Integers::add_lanes(products).to_floats().mul(scales))
}

#[inline(always)]
fn registers(quants: &[i16; BLOCK]) -> [Integers; 4] {
    let bytes: [[u8; 16]; 4] = bytemuck::cast(*quants);
    bytes.map(Integers::from_bytes)
}

/// 32 products in four sums.
#[inline(always)]
fn dot(a: [Integers; 4], b: [Integers; 4]) -> Integers {
    let [p, q, r, s]: [Integers; 4] = from_fn(|index| a[index].dot16(b[index]));
    p.add32(q).add32(r.add32(s))
}
