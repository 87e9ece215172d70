//! Weights into an executor, chunk by chunk: no more than one of them is ever held here.

use core::ops::Range;

use engine::Executor;
use model::{Graph, UnitRange, WeightId, manifest::Chunk, segment};
use session::{Computed, Fault, seam::Progress};

use super::{
    chunks::{Chunks, Source},
    model_file::ModelFile,
};
use crate::{
    clock::now_ms,
    error::{BrowserError, of_engine},
};

/// Progress is told no more often than this.
const PROGRESS_MS: f64 = 100.0;

/// Loads the weights of `stages` and makes the executor ready.
///
/// # Errors
/// Network, damaged chunks, whatever the executor says.
pub async fn load(
    file: &ModelFile,
    stages: &[UnitRange],
    chunks: &Chunks,
    executor: &mut impl Executor,
    tell: &impl Fn(Computed),
) -> Result<(), Fault> {
    let wanted = file
        .manifest
        .covering(&segment::byte_ranges(&file.graph, stages));
    let weights = Weights::of(&file.graph, stages);
    let mut progress = Told::new(
        wanted
            .iter()
            .filter_map(|index| file.manifest.chunks.get(*index))
            .map(|chunk| u64::from(chunk.bytes))
            .sum(),
    );
    progress.tell(tell);
    let troubles = chunks
        .bring(
            file.url.as_deref(),
            &file.manifest,
            &wanted,
            &mut async |chunk: &Chunk, bytes: &[u8], source: Source| {
                let (weight, first_row) = weights.rows_at(chunk.offset)?;
                executor
                    .put_rows(weight, first_row, bytes)
                    .map_err(|error| of_engine(&error))?;
                progress.add(chunk.bytes, source, tell);
                Ok(())
            },
        )
        .await?;
    progress.so_far.failed_sources = troubles.failed_sources;
    progress.tell(tell);
    executor
        .finish_loading()
        .await
        .map_err(|error| of_engine(&error))
}

/// Where the tensors of a segment lie in the file, ascending.
struct Weights {
    by_offset: Vec<(Range<u64>, WeightId, u64)>,
}

impl Weights {
    fn of(graph: &Graph, stages: &[UnitRange]) -> Self {
        let placed = segment::weights(graph, stages)
            .into_iter()
            .filter_map(|id| {
                let weight = graph.weights.get(id.0 as usize)?;
                Some((
                    weight.range.clone(),
                    id,
                    weight.dtype.row_bytes(weight.cols)?,
                ))
            });
        Self {
            by_offset: placed.collect(),
        }
    }

    /// The tensor and row that start at an offset of the file: chunks hold whole rows of one tensor.
    fn rows_at(&self, offset: u64) -> Result<(WeightId, u32), Fault> {
        let stray = || BrowserError::ServerAnswer {
            url: "manifest".to_owned(),
            detail: format!("no row of a tensor starts at byte {offset}"),
        };
        let after = self
            .by_offset
            .partition_point(|(range, _, _)| range.start <= offset);
        let (range, weight, row_bytes) = after
            .checked_sub(1)
            .and_then(|index| self.by_offset.get(index))
            .ok_or_else(stray)?;
        let inside = offset - range.start;
        if offset >= range.end || !inside.is_multiple_of(*row_bytes) {
            return Err(stray().into());
        }
        Ok((
            *weight,
            u32::try_from(inside / row_bytes).map_err(|_| stray())?,
        ))
    }
}

/// How far loading is, told now and then.
struct Told {
    so_far: Progress,
    told_at_ms: f64,
}

impl Told {
    fn new(bytes_total: u64) -> Self {
        Self {
            so_far: Progress {
                bytes_total,
                ..Progress::default()
            },
            told_at_ms: now_ms(),
        }
    }

    fn add(&mut self, bytes: u32, source: Source, tell: &impl Fn(Computed)) {
        let bytes = u64::from(bytes);
        self.so_far.bytes_done += bytes;
        match source {
            Source::Storage => {}
            Source::Room => self.so_far.bytes_from_room += bytes,
            Source::Network => self.so_far.bytes_fetched += bytes,
        }
        if now_ms() - self.told_at_ms >= PROGRESS_MS {
            self.tell(tell);
        }
    }

    fn tell(&mut self, tell: &impl Fn(Computed)) {
        self.told_at_ms = now_ms();
        tell(Computed::LoadProgress(self.so_far));
    }
}
