//! One matrix product at a time, for every shape that the model has.

use std::{collections::BTreeMap, sync::Arc};

use engine::{EngineError, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{
    DType, Graph, NumericClass, Op, Unit, UnitKind, UnitRange, ValueId, Weight, WeightId, WireDtype,
};
use serde::{Deserialize, Serialize};

use crate::tokens::CHUNK_COLUMNS;

/// Columns of the decode calls that are measured.
const DECODE_COLUMNS: [u32; 4] = [1, 2, 4, 8];
/// A measurement repeats its call for at least so long, after as long a time that does not count: compilers see what matters, and
/// clocks rise.
const MEASURE_MS: f64 = 60.0;

/// A matrix: rows, elements per row, how they are stored.
pub type Shape = (u32, u32, DType);

/// Of one call that is measured.
#[derive(Clone, Copy)]
pub struct Least {
    /// Of different matrices: most calls of a model meet weights that lie in no cache.
    pub bytes: u64,
    /// One after the other.
    pub products: u32,
}

/// Speed of one kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KernelSpeed {
    /// Storage type of the weight.
    pub dtype: String,
    /// Rows of the model's matrix.
    pub rows: u32,
    /// Elements per row.
    pub cols: u32,
    /// Columns of the call.
    pub columns: u32,
    /// Prefill or decode kernel.
    pub prefill: bool,
    /// Weight bytes read per time, 10^9 per second.
    pub gigabytes_per_s: f64,
    /// Multiplications and additions per time, 10^9 per second.
    pub gigaops_per_s: f64,
}

/// Every shape once, for decode calls of several widths and a prefill chunk. One call runs many products, so that submitting and
/// reading back hardly count.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure<E: Executor>(
    shapes: impl IntoIterator<Item = Shape>,
    least: Least,
    make: &impl AsyncFn(Setup) -> Result<E, EngineError>,
    now_ms: &impl Fn() -> f64,
) -> Result<Vec<KernelSpeed>, EngineError> {
    let mut speeds = Vec::new();
    for (rows, cols, dtype) in shapes {
        let product = Arc::new(matrix_products((rows, cols, dtype), least));
        let products = product.ops.len() as u32;
        let stage = UnitRange { start: 0, end: 1 };
        let setup = Setup {
            graph: Arc::clone(&product),
            stages: vec![stage],
            class: NumericClass {
                wire: WireDtype::F32,
                chunk_columns: CHUNK_COLUMNS,
                context_columns: CHUNK_COLUMNS,
            },
            slots: 1,
        };
        let mut executor = make(setup).await?;
        synthetic::load(&mut executor, &product, &[stage])?;
        executor.finish_loading().await?;
        let x = synthetic::hidden(&product, CHUNK_COLUMNS);
        let mut out = Vec::new();
        let calls = DECODE_COLUMNS.map(|columns| (columns, Phase::Decode));
        for (columns, phase) in calls.into_iter().chain([(CHUNK_COLUMNS, Phase::Prefill)]) {
            let x = &x[..columns as usize * cols as usize];
            let step = Step {
                stage,
                slot: 0,
                position: 0,
                columns,
                phase,
                want: Want::EveryColumn,
            };
            let mut repeat = async || {
                let (mut calls, mut elapsed_ms, start) = (0, 0.0, now_ms());
                while elapsed_ms < MEASURE_MS {
                    executor.run(&step, Input::Hidden(x), &mut out).await?;
                    calls += products;
                    elapsed_ms = now_ms() - start;
                }
                Ok::<_, EngineError>(elapsed_ms / f64::from(calls))
            };
            repeat().await?;
            let seconds = repeat().await? / 1e3;
            let bytes = dtype.row_bytes(cols).unwrap_or(0) as f64 * f64::from(rows);
            let ops = 2.0 * f64::from(rows) * f64::from(cols) * f64::from(columns);
            speeds.push(KernelSpeed {
                dtype: dtype.name().to_owned(),
                rows,
                cols,
                columns,
                prefill: phase == Phase::Prefill,
                gigabytes_per_s: bytes / seconds / 1e9,
                gigaops_per_s: ops / seconds / 1e9,
            });
        }
    }
    Ok(speeds)
}

/// Every shape of a matrix that is multiplied with columns.
pub fn of_model(graph: &Graph) -> impl Iterator<Item = Shape> {
    let mut shapes = BTreeMap::new();
    for op in &graph.ops {
        if let Op::Linear { weight, .. } = op
            && let Some(weight) = graph.weights.get(weight.0 as usize)
        {
            shapes.insert((weight.rows, weight.cols, weight.dtype), ());
        }
    }
    shapes.into_keys()
}

/// A matrix in every storage type.
pub fn of_every_type((rows, cols): (u32, u32)) -> impl Iterator<Item = Shape> {
    DType::ALL.into_iter().map(move |dtype| (rows, cols, dtype))
}

/// A unit of equal matrix products one after the other.
fn matrix_products((rows, cols, dtype): Shape, least: Least) -> Graph {
    let bytes = dtype.row_bytes(cols).unwrap_or(0) * u64::from(rows);
    let copies = least.bytes.div_ceil(bytes.max(1)).clamp(1, 256) as u32;
    let products = copies.max(least.products);
    let (x, out) = (ValueId(0), ValueId(1));
    Graph {
        architecture: "matrix product".to_owned(),
        hidden_width: cols,
        vocabulary: rows,
        max_context_columns: CHUNK_COLUMNS,
        weights: (0..copies)
            .map(|copy| Weight {
                name: format!("synthetic.{copy}"),
                dtype,
                rows,
                cols,
                range: 0..bytes,
            })
            .collect(),
        values: vec![cols, rows],
        caches: Vec::new(),
        ops: (0..products)
            .map(|product| Op::Linear {
                x,
                weight: WeightId(product % copies),
                bias: None,
                out,
            })
            .collect(),
        memory: None,
        units: vec![Unit {
            kind: UnitKind::Mlp,
            ops: 0..products as usize,
            input: Some(x),
            output: out,
            weights: (0..copies).map(WeightId).collect(),
            caches: Vec::new(),
        }],
    }
}
