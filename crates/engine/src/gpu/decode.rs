//! Generated columns on hardware: few dispatches, because each has a price of its own.
//!
//! A product that ends a unit adds the residual stream. What it writes crosses a cut, so it is to be rounded by the largest
//! magnitude of its column, which is known only when all of it is written: whoever reads it next rounds it then.

use std::collections::BTreeMap;

use model::{DType, NumericClass, Op, Pairing, ValueId};

use super::{
    fusion::{AttentionStep, Entering, Fusion, Map, Norm, ProductStep, Step},
    kernels::Kernel,
    memory::stride,
    product::{self, MAX_PARTS, Product, Then},
    program::{CONSTANT_WORDS, Columns, Grid, Planned, Source},
    recorder::{MATRIX_WORDS, NONE, Prepared, Recorder, matrix, padded},
    variant::Arithmetic,
};
use crate::{
    EngineError, Phase,
    segment::{Stage, misuse},
};

/// Of `first_row`, `bias` and `first_group` in `struct Matrix`.
const FIRST_ROW_WORD: usize = 0;
const BIAS_WORD: usize = 9;
const FIRST_GROUP_WORD: usize = 10;

/// All dispatches of a decode call.
///
/// # Errors
/// Heads longer than the kernels have room for.
pub fn record(source: Source<'_>, stage: &Stage) -> Result<Vec<Planned>, EngineError> {
    let mut decode = Decode {
        ops: Recorder::new(source, stage, Phase::Decode),
        rounding: BTreeMap::new(),
        maxima: 0,
    };
    let graph = source.graph;
    let fusion = Fusion::new(graph, source.weights);
    for unit in &graph.units[stage.range.start as usize..stage.range.end as usize] {
        for step in fusion.steps(&graph.ops[unit.ops.clone()]) {
            decode.step(&step)?;
        }
        let known = decode.rounding.contains_key(&unit.output);
        if decode.ops.rounds(unit.output) && !known {
            decode.ops.round(unit.output);
        }
    }
    decode.settle(stage.output);
    Ok(decode.ops.planned)
}

/// Entries of the buffer of maxima that the stages need: one per column and unit.
pub fn maxima(stages: &[Stage]) -> u32 {
    let units = stages.iter().map(|stage| stage.range.len()).max();
    units.unwrap_or(0) * NumericClass::MAX_DECODE_COLUMNS
}

/// What is known of a value that is rounded at a cut.
#[derive(Clone, Copy)]
enum Rounding {
    /// It lies there rounded.
    Done,
    /// It is to be, by the maxima from this entry on.
    Due(u32),
}

struct Decode<'a> {
    ops: Recorder<'a>,
    rounding: BTreeMap<ValueId, Rounding>,
    /// Entries given away.
    maxima: u32,
}

/// A run of rows that one dispatch computes, maybe with others.
struct Part {
    dtype: DType,
    words: wgpu::Buffer,
    rows: u32,
    matrix: [u32; MATRIX_WORDS],
}

/// Products of one dispatch or several.
struct Products {
    entering: Entering,
    then: Then,
    residual: Option<ValueId>,
    out: wgpu::Buffer,
    columns: Columns,
    /// Where the maxima of what is written go; or [`NONE`].
    maxima: u32,
}

/// What enters products, as they read it.
struct Entered {
    buffer: wgpu::Buffer,
    /// Gain and eps of the norm that they take of it.
    norm: Option<(u32, f32)>,
    /// First of the maxima that they round it by; or [`NONE`].
    rounding: u32,
}

impl Decode<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), EngineError> {
        match step {
            Step::Attention(step) => self.attention(step),
            Step::Product(step) => self.product(step),
            Step::NormAdd {
                norm,
                residual,
                out,
            } => self.norm_add(*norm, *residual, *out),
            Step::Op(op) => {
                op.inputs().for_each(|value| self.settle(value));
                self.ops.op(op)
            }
        }
    }

    /// Rounds a value now, if that is due.
    fn settle(&mut self, value: ValueId) {
        if let Some(Rounding::Due(_)) = self.rounding.get(&value) {
            self.ops.round(value);
            self.rounding.insert(value, Rounding::Done);
        }
    }

    /// First of the maxima that a reader rounds by; or [`NONE`].
    fn due(&self, value: ValueId) -> u32 {
        match self.rounding.get(&value) {
            Some(Rounding::Due(first)) => *first,
            _ => NONE,
        }
    }

    fn product(&mut self, step: &ProductStep) -> Result<(), EngineError> {
        let out_stride = stride(self.ops.width(step.out));
        let mut maps = Vec::new();
        for map in &step.maps {
            let mut parts = self.parts(map, 0, out_stride)?;
            for part in &mut parts {
                part.matrix = self.ops.output(part.matrix, step.out);
            }
            maps.push(parts);
        }
        let rounds = step.then == Then::Residual && self.ops.rounds(step.out);
        let maxima = if rounds { self.maxima } else { NONE };
        let products = Products {
            entering: step.entering,
            then: step.then,
            residual: step.residual,
            out: self.ops.value(step.out),
            columns: self.ops.demanded(step.out),
            maxima,
        };
        if let (Then::Gate(_), [gates, ups]) = (step.then, &mut maps[..]) {
            for (gate, up) in gates.drain(..).zip(ups.drain(..)) {
                self.dispatch(&products, vec![gate, up])?;
            }
        } else {
            self.dispatches(&products, maps.into_iter().flatten())?;
        }
        if rounds {
            self.maxima += NumericClass::MAX_DECODE_COLUMNS;
            self.rounding.insert(step.out, Rounding::Due(maxima));
        }
        Ok(())
    }

    fn attention(&mut self, step: &AttentionStep<'_>) -> Result<(), EngineError> {
        let Op::Attention {
            heads,
            kv_heads,
            head_dim,
            cache,
            out,
            ..
        } = *step.attention
        else {
            return Err(misuse("attention of something else".into()));
        };
        let memory = self.ops.source.memory;
        let [projected, found] = memory.attention.clone();
        let projected_stride = stride((heads + 2 * kv_heads) * head_dim);
        let first_rows = [0, heads * head_dim, (heads + kv_heads) * head_dim];
        let mut parts = Vec::new();
        for (map, first_row) in step.maps.iter().zip(first_rows) {
            parts.extend(self.parts(map, first_row, projected_stride)?);
        }
        let products = Products {
            entering: step.entering,
            then: Then::Store,
            residual: None,
            out: projected.clone(),
            columns: Columns::Every,
            maxima: NONE,
        };
        self.dispatches(&products, parts.into_iter())?;

        let [keys, values] = self.ops.cache(cache)?;
        let vectors = &self.ops.source.weights.vectors;
        let mut gains = [NONE; 2];
        for (gain, weight) in gains.iter_mut().zip(step.gains) {
            *gain = weight.map_or(Ok(NONE), |weight| vectors.start(weight))?;
        }
        // Where nothing rotates, no angle is read.
        let (rotary_dim, halves, angles) = match step.rotation {
            Some((pairing, frequencies)) => (
                frequencies.rotary_dim,
                u32::from(pairing == Pairing::Halves),
                self.ops.angles(frequencies)?,
            ),
            None => (0, 0, self.ops.vectors()),
        };
        let [q_gain, k_gain] = gains;
        let constants = [
            heads,
            kv_heads,
            head_dim,
            projected_stride,
            rotary_dim,
            halves,
            q_gain,
            k_gain,
            step.eps.to_bits(),
        ];
        let buffers = vec![
            projected.clone(),
            self.ops.vectors(),
            angles,
            keys.clone(),
            values.clone(),
        ];
        let grid = Grid::of(Kernel::Heads, heads + 2 * kv_heads);
        self.ops.plan_every(grid, &constants, buffers);

        let constants = self.ops.attention_shape(step.attention, projected_stride)?;
        let grid = Grid::of(Kernel::AttentionBlocks, heads);
        let buffers = vec![projected, keys, values, found.clone()];
        self.ops.plan(out, grid, &constants, buffers);
        let buffers = vec![found, self.ops.value(out)];
        let grid = Grid::of(Kernel::Merge, heads);
        self.ops.plan(out, grid, &constants, buffers);
        Ok(())
    }

    fn norm_add(&mut self, norm: Norm, residual: ValueId, out: ValueId) -> Result<(), EngineError> {
        self.settle(norm.x);
        self.settle(residual);
        let gain = self.ops.source.weights.vectors.start(norm.gain)?;
        let width = self.ops.width(out);
        let rounds = self.ops.rounds(out);
        let eps = norm.eps.to_bits();
        let constants = [width, stride(width), gain, eps, u32::from(rounds)];
        let values = [norm.x, residual, out].map(|value| self.ops.value(value));
        let buffers = [self.ops.vectors()].into_iter().chain(values).collect();
        let grid = Grid::of(Kernel::NormAdd, 1);
        self.ops.plan(out, grid, &constants, buffers);
        if rounds {
            self.rounding.insert(out, Rounding::Done);
        }
        Ok(())
    }

    /// The runs of rows of a matrix whose first output is element `first_row` of a column.
    fn parts(&self, map: &Map, first_row: u32, out_stride: u32) -> Result<Vec<Part>, EngineError> {
        let Source { graph, weights, .. } = self.ops.source;
        let tensor = weights.tensor(graph, map.weight)?;
        let bias = map.bias.map(|bias| weights.vectors.start(bias));
        let bias = bias.transpose()?;
        let parts = tensor.pieces.iter().map(|piece| {
            let mut matrix = matrix(tensor, piece, out_stride);
            matrix[FIRST_ROW_WORD] += first_row;
            if let Some(bias) = bias {
                matrix[BIAS_WORD] = bias + piece.rows.start / 4;
            }
            Part {
                dtype: tensor.dtype,
                words: piece.words.clone(),
                rows: piece.rows.end - piece.rows.start,
                matrix,
            }
        });
        Ok(parts.collect())
    }

    /// As many parts at once as have room.
    fn dispatches(
        &mut self,
        products: &Products,
        mut parts: impl Iterator<Item = Part>,
    ) -> Result<(), EngineError> {
        loop {
            let some: Vec<_> = parts.by_ref().take(MAX_PARTS).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.dispatch(products, some)?;
        }
    }

    /// Weights of one dispatch share what enters: floats among them make it f32.
    fn arithmetic(&self, dtypes: &[Option<DType>]) -> Arithmetic {
        let arithmetic = self.ops.source.variant.arithmetic;
        let mut of_each = dtypes.iter().flatten().map(|dtype| arithmetic.of(*dtype));
        match of_each.any(|of_one| of_one == Arithmetic::Float) {
            true => Arithmetic::Float,
            false => arithmetic,
        }
    }

    /// Makes what enters ready to be read.
    fn enter(
        &mut self,
        entering: Entering,
        arithmetic: Arithmetic,
    ) -> Result<Entered, EngineError> {
        let x = entering.value();
        let (norm, rounding) = match entering {
            Entering::Norm(norm) => {
                let gain = self.ops.source.weights.vectors.start(norm.gain)?;
                (Some((gain, norm.eps)), self.due(x))
            }
            Entering::Value(_) => {
                self.settle(x);
                (None, NONE)
            }
        };
        Ok(match arithmetic {
            Arithmetic::Float => Entered {
                buffer: self.ops.value(x),
                norm,
                rounding,
            },
            Arithmetic::Prepared(numbers) => Entered {
                buffer: self.ops.prepare(Prepared {
                    x,
                    numbers,
                    norm,
                    rounding,
                }),
                norm: None,
                rounding: NONE,
            },
        })
    }

    fn dispatch(&mut self, products: &Products, parts: Vec<Part>) -> Result<(), EngineError> {
        let then = products.then;
        let x = products.entering.value();
        let lanes = product::lanes(self.ops.width(x));
        let rows_per_group = product::rows_per_group(lanes);
        let mut dtypes = [None; MAX_PARTS];
        let mut constants = padded(&[]);
        let mut groups = 0;
        let mut buffers = Vec::new();
        let places = constants.chunks_exact_mut(MATRIX_WORDS).zip(&mut dtypes);
        for (mut part, (place, dtype)) in parts.into_iter().zip(places) {
            part.matrix[FIRST_GROUP_WORD] = groups;
            place.copy_from_slice(&part.matrix);
            *dtype = Some(part.dtype);
            // A gate and what it gates are computed by the same workgroups.
            groups = match then {
                Then::Gate(_) => part.rows.div_ceil(rows_per_group),
                _ => groups + part.rows.div_ceil(rows_per_group),
            };
            buffers.push(part.words);
        }
        let arithmetic = self.arithmetic(&dtypes);
        let entered = self.enter(products.entering, arithmetic)?;
        let norm = entered.norm;
        let rounding = match products.residual {
            Some(residual) if norm.is_some() => {
                self.settle(residual);
                entered.rounding
            }
            Some(residual) => self.due(residual),
            None => entered.rounding,
        };
        let (gain, eps) = norm.unwrap_or((NONE, 0.0));
        let tail = [gain, eps.to_bits(), rounding, products.maxima];
        constants[MAX_PARTS * MATRIX_WORDS..].copy_from_slice(&tail);
        buffers.extend([entered.buffer, self.ops.vectors(), products.out.clone()]);
        if norm.is_some() || then == Then::Residual {
            buffers.push(self.ops.source.memory.maxima.clone());
        }
        buffers.extend(products.residual.map(|residual| self.ops.value(residual)));
        let grid = |columns| Grid {
            kernel: Kernel::Product(Product {
                parts: dtypes,
                arithmetic,
                columns,
                lanes,
                norm: norm.is_some(),
                then,
            }),
            groups,
            columns_per_group: columns,
        };
        self.ops.planned.push(Planned {
            one: grid(1),
            several: grid(8),
            constants,
            buffers,
            columns: products.columns,
            per_block: false,
        });
        Ok(())
    }
}

const _: () = assert!(MAX_PARTS * MATRIX_WORDS + 4 == CONSTANT_WORDS);
