//! A forward call, checked against the segment it is for.

use model::{Graph, NumericClass, Op, UnitRange};

use super::{misuse, stage::Stage, weight as weight_of};
use crate::{EngineError, Input, Phase, Step, Want};

/// One forward call that leaves no gap, does not overflow and has the input it needs.
pub(crate) struct Call<'a> {
    /// Whose KV.
    pub slot: usize,
    /// Absolute position of the first column.
    pub position: usize,
    /// Columns; at least one.
    pub columns: usize,
    /// Kernels to use.
    pub phase: Phase,
    /// Which columns are wanted.
    pub want: Want,
    /// What enters.
    pub input: Input<'a>,
}

impl<'a> Call<'a> {
    /// Index of the stage that `step` names, and the call.
    ///
    /// # Errors
    /// Unknown stage or slot, a gap or overflow in the cache, or an input that is not what enters the stage.
    pub fn check(
        graph: &Graph,
        class: NumericClass,
        stages: &[Stage],
        step: &Step,
        input: Input<'a>,
    ) -> Result<(usize, Self), EngineError> {
        let (index, stage) = stages
            .iter()
            .enumerate()
            .find(|(_, stage)| stage.range == step.stage)
            .ok_or_else(|| misuse(format!("units {:?} are not loaded here", step.stage)))?;
        check_columns(class, step)?;
        check_gap(stage, step)?;
        check_sides(stage, step)?;
        check_input(graph, stage, step.columns as usize, input)?;
        let call = Self {
            slot: step.slot as usize,
            position: step.position as usize,
            columns: step.columns as usize,
            phase: step.phase,
            want: step.want,
            input,
        };
        Ok((index, call))
    }
}

/// An encoder's output, checked against the decoder's segment it is for.
pub(crate) struct Memory<'a> {
    /// Whose.
    pub slot: usize,
    /// Columns; at least one.
    pub columns: usize,
    /// columns x hidden_width.
    pub hidden: &'a [f32],
}

impl<'a> Memory<'a> {
    /// Index of the stage, and what it is to remember.
    ///
    /// # Errors
    /// Unknown stage or slot, a stage that attends to nothing else, or more than one call of an encoder makes.
    pub fn check(
        graph: &Graph,
        class: NumericClass,
        stages: &[Stage],
        (range, slot): (UnitRange, u32),
        hidden: &'a [f32],
    ) -> Result<(usize, Self), EngineError> {
        let mut all = stages.iter().enumerate();
        let found = all.find(|(_, stage)| stage.range == range && stage.memory.is_some());
        let (index, stage) = found.ok_or_else(|| {
            misuse(format!(
                "units {range:?} attend to no encoder's output here"
            ))
        })?;
        let columns = hidden.len().checked_div(graph.hidden_width as usize);
        let columns = columns.unwrap_or(0);
        let whole = columns * graph.hidden_width as usize == hidden.len();
        let known = stage.memory_columns.len() > slot as usize;
        if !known || !whole || columns == 0 || columns > class.chunk_columns as usize {
            return Err(misuse(format!(
                "{} numbers are no encoder's output for slot {slot}",
                hidden.len()
            )));
        }
        let memory = Self {
            slot: slot as usize,
            columns,
            hidden,
        };
        Ok((index, memory))
    }
}

/// Refuses a class that no executor runs.
///
/// # Errors
/// [`EngineError::Misuse`].
pub(crate) fn check_class(class: NumericClass) -> Result<(), EngineError> {
    class.check().map_err(|error| misuse(error.to_string()))
}

/// Refuses a context that is longer than the learned positions of the stages.
///
/// # Errors
/// [`EngineError::Misuse`].
pub(crate) fn check_positions(
    graph: &Graph,
    class: NumericClass,
    stages: &[Stage],
) -> Result<(), EngineError> {
    for op in stages.iter().flat_map(|stage| stage.ops(graph)) {
        let Op::Positions { weight, offset, .. } = *op else {
            continue;
        };
        let learned = weight_of(graph, weight)?.rows.saturating_sub(offset);
        if class.context_columns > learned {
            return Err(misuse(format!(
                "a context of {} columns, where the model knows {learned} positions",
                class.context_columns
            )));
        }
    }
    Ok(())
}

/// Most columns in one call of any kind.
pub(crate) fn max_columns(class: NumericClass) -> u32 {
    class.chunk_columns.max(NumericClass::MAX_DECODE_COLUMNS)
}

fn check_columns(class: NumericClass, step: &Step) -> Result<(), EngineError> {
    let allowed = match step.phase {
        Phase::Prefill => class.chunk_columns - step.position % class.chunk_columns,
        Phase::Decode => NumericClass::MAX_DECODE_COLUMNS,
    };
    if step.columns == 0 || step.columns > allowed {
        let Step {
            columns,
            position,
            phase,
            ..
        } = step;
        return Err(misuse(format!(
            "{columns} columns at position {position} are not a {phase:?} call"
        )));
    }
    match step.position.checked_add(step.columns) {
        Some(end) if end <= class.context_columns => Ok(()),
        end => Err(EngineError::ContextFull {
            position: end.unwrap_or(u32::MAX),
            context_columns: class.context_columns,
        }),
    }
}

fn check_gap(stage: &Stage, step: &Step) -> Result<(), EngineError> {
    let position = step.position;
    let cached = stage.cached_columns.get(step.slot as usize);
    let cached = *cached.ok_or_else(|| misuse(format!("there is no slot {}", step.slot)))?;
    if stage.caches.is_empty() || position <= cached {
        return Ok(());
    }
    Err(misuse(format!(
        "position {position} leaves a gap after {cached} cached columns"
    )))
}

fn check_sides(stage: &Stage, step: &Step) -> Result<(), EngineError> {
    if stage.is_encoder && step.position > 0 {
        return Err(misuse("an encoder's columns come in one call".into()));
    }
    let remembered = stage.memory_columns.get(step.slot as usize);
    if stage.memory.is_some() && remembered == Some(&0) {
        return Err(misuse("a decoder before its encoder's output".into()));
    }
    Ok(())
}

fn check_input(
    graph: &Graph,
    stage: &Stage,
    columns: usize,
    input: Input<'_>,
) -> Result<(), EngineError> {
    let hidden_len = columns.checked_mul(graph.hidden_width as usize);
    let fits = match input {
        Input::Tokens(tokens) => stage.input.is_none() && tokens.len() == columns,
        Input::Hidden(hidden) => stage.input.is_some() && Some(hidden.len()) == hidden_len,
    };
    if !fits {
        return Err(misuse(format!(
            "the input is not {columns} columns of what enters units {:?}",
            stage.range
        )));
    }
    match input {
        Input::Tokens(tokens) => check_tokens(graph.vocabulary, tokens),
        Input::Hidden(_) => Ok(()),
    }
}

fn check_tokens(vocabulary: u32, tokens: &[u32]) -> Result<(), EngineError> {
    match tokens.iter().find(|token| **token >= vocabulary) {
        Some(token) => Err(misuse(format!(
            "token {token} is not in the vocabulary of {vocabulary}"
        ))),
        None => Ok(()),
    }
}
