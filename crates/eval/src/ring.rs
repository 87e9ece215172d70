//! A model cut into segments, each with an executor of its own, as a room would run it.

use std::sync::Arc;

use engine::{EngineError, Executor, Input, Phase, Setup, Step, Want};
use eval::{error::Error, source::Source};
use model::{Graph, NumericClass, UnitRange, segment};

/// Bytes handed to an executor at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Executors in the order of their segments.
pub struct Ring<E> {
    stages: Vec<(UnitRange, E)>,
    class: NumericClass,
    vocabulary: usize,
}

impl<E: Executor> Ring<E> {
    /// Loads every segment.
    ///
    /// # Errors
    /// More segments than units; the disk; whatever the executors say.
    pub fn load(
        source: &mut Source,
        graph: &Arc<Graph>,
        class: NumericClass,
        segments: u32,
        make: impl Fn(Setup) -> Result<E, EngineError>,
    ) -> Result<Self, Error> {
        let units = graph.units.len() as u32;
        if segments == 0 || segments > units {
            return Err(Error::Question {
                detail: format!("a model of {units} units cannot be cut into {segments} segments"),
            });
        }
        let mut stages = Vec::new();
        for segment in 0..segments {
            let range = UnitRange {
                start: segment * units / segments,
                end: (segment + 1) * units / segments,
            };
            let mut executor = make(Setup {
                graph: Arc::clone(graph),
                stages: vec![range],
                class,
                slots: 1,
            })?;
            load(source, graph, range, &mut executor)?;
            pollster::block_on(executor.finish_loading())?;
            stages.push((range, executor));
        }
        Ok(Self {
            stages,
            class,
            vocabulary: graph.vocabulary as usize,
        })
    }

    /// Logits of every column of a prompt, on the chunk grid.
    ///
    /// # Errors
    /// Whatever the executors say.
    pub fn prompt(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        let mut columns = Vec::new();
        let mut position = 0;
        for chunk in ids.chunks(self.class.chunk_columns as usize) {
            let logits = self.call(chunk, position, Phase::Prefill)?;
            columns.extend(logits.chunks(self.vocabulary).map(<[f32]>::to_vec));
            position += chunk.len() as u32;
        }
        Ok(columns)
    }

    /// Logits after one generated column.
    ///
    /// # Errors
    /// Whatever the executors say.
    pub fn next(&mut self, id: u32, position: u32) -> Result<Vec<f32>, Error> {
        self.call(&[id], position, Phase::Decode)
    }

    fn call(&mut self, ids: &[u32], position: u32, phase: Phase) -> Result<Vec<f32>, Error> {
        let (mut hidden, mut out) = (Vec::new(), Vec::new());
        for (stage, executor) in &mut self.stages {
            let step = Step {
                stage: *stage,
                slot: 0,
                position,
                columns: ids.len() as u32,
                phase,
                want: Want::EveryColumn,
            };
            let input = match stage.start {
                0 => Input::Tokens(ids),
                _ => Input::Hidden(&hidden),
            };
            pollster::block_on(executor.run(&step, input, &mut out))?;
            std::mem::swap(&mut hidden, &mut out);
        }
        Ok(hidden)
    }
}

/// Whole rows at a time: a segment is never held twice.
fn load(
    source: &mut Source,
    graph: &Graph,
    range: UnitRange,
    executor: &mut impl Executor,
) -> Result<(), Error> {
    for id in segment::weights(graph, &[range]) {
        let Some(weight) = graph.weights.get(id.0 as usize) else {
            continue;
        };
        let row_bytes = weight.dtype.row_bytes(weight.cols).unwrap_or(0).max(1);
        let rows_per_piece = (PIECE_BYTES / row_bytes).max(1);
        let mut row = 0;
        while row < u64::from(weight.rows) {
            let end = (row + rows_per_piece).min(u64::from(weight.rows));
            let start = weight.range.start;
            let bytes = source.read(start + row * row_bytes..start + end * row_bytes)?;
            executor.put_rows(id, u32::try_from(row).unwrap_or(u32::MAX), &bytes)?;
            row = end;
        }
    }
    Ok(())
}
