//! The CPU executor on real weights; only its time is virtual.

use std::{collections::BTreeMap, sync::Arc};

use engine::{CpuExecutor, Executor, Phase, Setup, Step, Want};
use model::{EngineKind, NumericClass, UnitKind, UnitRange, segment};
use plan::EngineProfile;
use session::{
    Computed, Job,
    seam::{JobInput, WantColumns},
};

use super::{Compute, Results, Storage};
use crate::model_file::ModelFile;

/// Virtual ms of one unit for one column, of a call, and of loading.
const MS_PER_UNIT: f64 = 1.0;
const MS_PER_CALL: f64 = 0.5;
const MEASURE_MS: u64 = 40;
const LOAD_MS: u64 = 60;

/// The executor of one phone.
pub struct Executing {
    file: Arc<ModelFile>,
    executor: Option<CpuExecutor>,
    storage: Storage,
}

impl Executing {
    /// Nothing is loaded yet.
    pub fn new(file: &Arc<ModelFile>, storage: Storage) -> Self {
        Self {
            file: Arc::clone(file),
            executor: None,
            storage,
        }
    }

    fn load(&mut self, stages: Vec<UnitRange>, class: NumericClass, slots: u32) -> Results {
        self.executor = None;
        // It starts anew.
        let cached_columns = Vec::new();
        if stages.is_empty() {
            let loaded = Computed::Loaded {
                resident_bytes: 0,
                cached_columns,
            };
            return vec![(0, loaded)];
        }
        let graph = Arc::clone(&self.file.graph);
        let mut executor = CpuExecutor::new(Setup {
            graph: Arc::clone(&graph),
            stages: stages.clone(),
            class,
            slots,
        })
        .unwrap();
        for id in segment::weights(&graph, &stages) {
            let range = graph.weights.get(id.0 as usize).unwrap().range.clone();
            let bytes = self
                .file
                .bytes
                .get(range.start as usize..range.end as usize);
            executor.put_rows(id, 0, bytes.unwrap()).unwrap();
            self.storage
                .borrow_mut()
                .bring(id.0, range.end - range.start);
        }
        pollster::block_on(executor.finish_loading()).unwrap();
        let resident_bytes = executor.resident_bytes();
        self.executor = Some(executor);
        let loaded = Computed::Loaded {
            resident_bytes,
            cached_columns,
        };
        vec![(LOAD_MS, loaded)]
    }
}

impl Compute for Executing {
    fn work(&mut self, job: Job) -> Results {
        match job {
            Job::Measure { .. } => {
                let engines = vec![simulated_profile()];
                vec![(MEASURE_MS, Computed::Measured { engines })]
            }
            Job::Load {
                stages,
                class,
                slots,
                ..
            } => self.load(stages, class, slots),
            Job::Fetch { stages } => {
                let graph = &self.file.graph;
                for id in segment::weights(graph, &stages) {
                    let range = &graph.weights.get(id.0 as usize).unwrap().range;
                    self.storage
                        .borrow_mut()
                        .bring(id.0, range.end - range.start);
                }
                vec![(LOAD_MS, Computed::Fetched)]
            }
            Job::Run {
                units,
                slot,
                position,
                columns,
                prefill,
                want,
                input,
            } => {
                let step = Step {
                    stage: units,
                    slot,
                    position,
                    columns,
                    phase: if prefill {
                        Phase::Prefill
                    } else {
                        Phase::Decode
                    },
                    want: match want {
                        WantColumns::Every => Want::EveryColumn,
                        WantColumns::Last => Want::LastColumn,
                        WantColumns::Nothing => Want::Nothing,
                    },
                };
                let input = match &input {
                    JobInput::Tokens(tokens) => engine::Input::Tokens(tokens),
                    JobInput::Hidden(hidden) => engine::Input::Hidden(hidden),
                };
                let mut values = Vec::new();
                let executor = self.executor.as_mut().unwrap();
                pollster::block_on(executor.run(&step, input, &mut values)).unwrap();
                let compute_ms = MS_PER_CALL + MS_PER_UNIT * f64::from(units.len());
                let ran = Computed::Ran { values, compute_ms };
                vec![(compute_ms.ceil() as u64, ran)]
            }
        }
    }

    fn lose_everything(&mut self) {
        self.executor = None;
    }

    fn resident_bytes(&self) -> u64 {
        self.executor.as_ref().map_or(0, Executor::resident_bytes)
    }
}

/// What every virtual phone says of itself.
fn simulated_profile() -> EngineProfile {
    let kinds = [
        UnitKind::Embedding,
        UnitKind::Attention,
        UnitKind::Mlp,
        UnitKind::Head,
    ];
    let per_unit: BTreeMap<_, _> = kinds.into_iter().map(|kind| (kind, MS_PER_UNIT)).collect();
    EngineProfile {
        engine: EngineKind::Cpu,
        variant: "simulated".to_owned(),
        decode_ms_per_unit: per_unit.clone(),
        verify_ms_per_unit: BTreeMap::new(),
        chunk_ms_per_unit: per_unit,
        attention_ms_per_cached_column: 0.0,
        ms_per_call: MS_PER_CALL,
    }
}
