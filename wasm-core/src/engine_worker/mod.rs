//! The thread that holds weights and computes: one job after the other, so nothing here ever stops a heartbeat.

mod assembler;
mod blob;
mod chunks;
mod download;
mod executor;
mod giving;
mod gpu;
mod loading;
mod measuring;
mod model_file;
mod reading;
mod remembered;
mod repository;
mod room;
mod shelf;
mod store;

use std::rc::Rc;

use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want};
use futures::{StreamExt, channel::mpsc};
use model::{EngineKind, NumericClass, UnitRange, segment};
use session::{
    Computed, Fault, Job, JobId,
    seam::{JobInput, WantColumns},
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, MessagePort};

use crate::{
    clock::now_ms,
    error::{BrowserError, of_engine},
    messages::{FromEngine, HostedModel, Offer, Opened, ToEngine, ToEngineWorker},
    ports::{self, Parcel},
    threads,
};
use chunks::Chunks;
use executor::AnyExecutor;
use gpu::Gpu;
use model_file::ModelFile;
use room::Room;
use shelf::Shelf;

/// Starts the thread: the page's first message brings the port to the session worker, later ones the weights channels to other phones.
pub fn run() {
    wasm_bindgen_futures::spawn_local(async {
        let (mut from_page, _listening) = threads::inbox::<ToEngineWorker>();
        let Some(parcel) = from_page.next().await else {
            return;
        };
        let ToEngineWorker::Start { offer } = parcel.message else {
            return;
        };
        let Some(port) = parcel
            .values
            .into_iter()
            .next()
            .and_then(|value| value.dyn_into::<MessagePort>().ok())
        else {
            return;
        };
        let shelf = Rc::new(Shelf::open().await);
        let room = {
            let port = port.clone();
            Room::new(Rc::clone(&shelf), move |fault| {
                post(&port, &FromEngine::Notice(fault));
            })
        };
        let (to_loop, mut messages) = mpsc::unbounded();
        let (echo, echoes) = mpsc::unbounded();
        let _port_listening = threads::listen(&port, {
            let room = room.clone();
            move |parcel: Parcel<ToEngine>| match parcel.message {
                ToEngine::Echo => drop(echo.unbounded_send(())),
                ToEngine::Proven { member, connection } => room.prove(member, connection),
                ToEngine::Gone { member, connection } => room.remove(member, connection),
                message => drop(to_loop.unbounded_send((message, parcel.values))),
            }
        });
        let mut worker = EngineWorker::new(port, echoes, offer, Rc::clone(&shelf), room.clone());
        wasm_bindgen_futures::spawn_local(async move {
            while let Some(parcel) = from_page.next().await {
                add_channel(&room, parcel);
            }
        });
        while let Some((message, values)) = messages.next().await {
            worker.handle(message, values).await;
        }
    });
}

fn add_channel(room: &Room, parcel: Parcel<ToEngineWorker>) {
    let (ToEngineWorker::Channel { member, connection }, Some(carrier)) =
        (parcel.message, parcel.values.into_iter().next())
    else {
        return;
    };
    if !room.add(member, connection, carrier) {
        threads::report("the weights channel of a member did not arrive");
    }
}

struct EngineWorker {
    port: MessagePort,
    /// Answers of the session worker.
    echoes: mpsc::UnboundedReceiver<()>,
    offer: Offer,
    shelf: Rc<Shelf>,
    room: Room,
    model: Option<ModelFile>,
    gpu: Option<Gpu>,
    executor: Option<AnyExecutor>,
}

impl EngineWorker {
    const fn new(
        port: MessagePort,
        echoes: mpsc::UnboundedReceiver<()>,
        offer: Offer,
        shelf: Rc<Shelf>,
        room: Room,
    ) -> Self {
        Self {
            port,
            echoes,
            offer,
            shelf,
            room,
            model: None,
            gpu: None,
            executor: None,
        }
    }

    async fn handle(&mut self, message: ToEngine, values: Vec<JsValue>) {
        match message {
            ToEngine::Open(model) => {
                let file = values.into_iter().next();
                let opened = self
                    .host(model, file.and_then(|file| file.dyn_into().ok()))
                    .await;
                self.post(&FromEngine::Opened(opened));
            }
            ToEngine::Job {
                job,
                work: Job::Fetch { stages },
            } => self.fetch_beside(job, &stages),
            ToEngine::Job { job, work } => {
                let result = self.work(job, work).await.unwrap_or_else(Computed::Failed);
                self.post(&FromEngine::Computed { job, result });
            }
            // Done when they came.
            ToEngine::Echo | ToEngine::Proven { .. } | ToEngine::Gone { .. } => {}
        }
        if let Some(notice) = self.shelf.take_notice() {
            self.post(&FromEngine::Notice(notice.into()));
        }
    }

    async fn host(&mut self, model: HostedModel, file: Option<Blob>) -> Result<Opened, Fault> {
        let tell = |bytes_done, bytes_total| {
            self.post(&FromEngine::Reading {
                bytes_done,
                bytes_total,
            });
        };
        let (offer, shelf, chunks) = (&self.offer, &self.shelf, self.chunks());
        let file = ModelFile::host(model, file, offer, shelf, &chunks, &tell).await?;
        let opened = Opened {
            model: file.reference.clone(),
            header: file.header.clone(),
        };
        self.work_with(file);
        Ok(opened)
    }

    fn work_with(&mut self, file: ModelFile) {
        self.shelf.set_manifest(&file.manifest);
        self.model = Some(file);
    }

    fn chunks(&self) -> Chunks {
        Chunks::new(Rc::clone(&self.shelf), self.room.clone())
    }

    /// Brings weights into storage while everything else goes on.
    fn fetch_beside(&self, job: JobId, stages: &[UnitRange]) {
        let port = self.port.clone();
        let tell = move |result| post(&port, &FromEngine::Computed { job, result });
        let Some(file) = &self.model else {
            return tell(Computed::Failed(no_model()));
        };
        let ranges = segment::byte_ranges(&file.graph, stages);
        let (url, manifest) = (file.url.clone(), Rc::clone(&file.manifest));
        let (shelf, room) = (Rc::clone(&self.shelf), self.room.clone());
        wasm_bindgen_futures::spawn_local(async move {
            let chunks = Chunks::new(Rc::new(shelf.beside().await), room);
            let wanted = manifest.covering(&ranges);
            let brought = chunks
                .bring(url.as_deref(), &manifest, &wanted, &mut async |_, _, _| {
                    Ok(())
                })
                .await;
            tell(match brought {
                Ok(_) => Computed::Fetched,
                Err(fault) => Computed::Failed(fault),
            });
        });
    }

    async fn work(&mut self, job: JobId, work: Job) -> Result<Computed, Fault> {
        match work {
            Job::Measure { model, class, only } => {
                let is_open = |open: &ModelFile| open.reference.id == model.id;
                if !self.model.as_ref().is_some_and(is_open) {
                    let file = ModelFile::open(&model, &self.offer, &self.chunks()).await?;
                    self.work_with(file);
                }
                self.measure(class, only).await
            }
            Job::Fetch { .. } => Ok(Computed::Fetched),
            Job::Load {
                stages,
                engine,
                class,
                slots,
            } => self.load(job, stages, engine, class, slots).await,
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
                self.run(&step, &input).await
            }
        }
    }

    async fn measure(
        &mut self,
        class: NumericClass,
        only: Option<EngineKind>,
    ) -> Result<Computed, Fault> {
        let model = self.model()?;
        let graph = std::sync::Arc::clone(&model.graph);
        let model_id = model.reference.id.clone();
        let mut engines = Vec::new();
        let mut failure = None;
        if only != Some(EngineKind::Cpu) {
            let measured = match self.gpu().await {
                Ok(mut gpu) => {
                    let tell = |fault| self.post(&FromEngine::Notice(fault));
                    let measured = measuring::gpu(&graph, &model_id, class, &mut gpu, tell).await;
                    self.gpu = Some(gpu);
                    measured
                }
                Err(fault) => Err(fault),
            };
            match measured {
                Ok(profile) => engines.push(profile),
                Err(fault) => failure = Some(fault),
            }
        }
        if only != Some(EngineKind::Gpu) {
            engines.push(measuring::cpu(&graph, class).await?);
        }
        match failure {
            Some(fault) if engines.is_empty() => return Err(fault),
            Some(fault) => self.post(&FromEngine::Notice(fault)),
            None => {}
        }
        let handover_ms = measuring::handover_ms(&self.port, &mut self.echoes).await;
        for engine in &mut engines {
            engine.ms_per_call += handover_ms;
        }
        Ok(Computed::Measured { engines })
    }

    async fn load(
        &mut self,
        job: JobId,
        stages: Vec<UnitRange>,
        engine: EngineKind,
        class: NumericClass,
        slots: u32,
    ) -> Result<Computed, Fault> {
        // The old segment's memory is free before the new one's is taken.
        self.executor = None;
        let cached_columns = Vec::new();
        if stages.is_empty() {
            return Ok(Computed::Loaded {
                resident_bytes: 0,
                cached_columns,
            });
        }
        let graph = std::sync::Arc::clone(&self.model()?.graph);
        let needed_bytes = segment::weight_bytes(&graph, &stages)
            + u64::from(slots) * segment::kv_bytes(&graph, &stages, class.context_columns)
            + segment::scratch_bytes(&graph, class.chunk_columns);
        if needed_bytes > self.offer.budget_bytes {
            return Err(BrowserError::OverBudget {
                needed_bytes,
                budget_bytes: self.offer.budget_bytes,
            }
            .into());
        }
        let setup = Setup {
            graph,
            stages: stages.clone(),
            class,
            slots,
        };
        let mut executor = match engine {
            EngineKind::Cpu => {
                AnyExecutor::Cpu(CpuExecutor::new(setup).map_err(|error| of_engine(&error))?)
            }
            EngineKind::Gpu => {
                let executor = self.gpu().await?.executor(setup);
                AnyExecutor::Gpu(Box::new(executor.map_err(|error| of_engine(&error))?))
            }
        };
        let port = self.port.clone();
        let tell = move |result| post(&port, &FromEngine::Computed { job, result });
        let file = self.model.as_ref().ok_or_else(no_model)?;
        loading::load(file, &stages, &self.chunks(), &mut executor, &tell).await?;
        let resident_bytes = executor.resident_bytes();
        self.executor = Some(executor);
        Ok(Computed::Loaded {
            resident_bytes,
            cached_columns,
        })
    }

    async fn run(&mut self, step: &Step, input: &JobInput) -> Result<Computed, Fault> {
        let nothing_loaded = || BrowserError::Misuse {
            detail: "a forward call came before its segment was loaded".to_owned(),
        };
        let executor = self.executor.as_mut().ok_or_else(nothing_loaded)?;
        let input = match input {
            JobInput::Tokens(tokens) => Input::Tokens(tokens),
            JobInput::Hidden(hidden) => Input::Hidden(hidden),
        };
        let started_ms = now_ms();
        let mut values = Vec::new();
        executor
            .run(step, input, &mut values)
            .await
            .map_err(|error| of_engine(&error))?;
        Ok(Computed::Ran {
            values,
            compute_ms: now_ms() - started_ms,
        })
    }

    /// The GPU, asked for once; again after it was lost.
    async fn gpu(&mut self) -> Result<Gpu, Fault> {
        if let Some(gpu) = self.gpu.as_ref().filter(|gpu| !gpu.is_lost()) {
            return Ok(gpu.clone());
        }
        let gpu = Gpu::request(self.gpu.as_ref()).await.map_err(|error| {
            Fault::from(BrowserError::NoWebGpu {
                detail: error.to_string(),
            })
        })?;
        self.gpu = Some(gpu.clone());
        Ok(gpu)
    }

    fn model(&self) -> Result<&ModelFile, Fault> {
        self.model.as_ref().ok_or_else(no_model)
    }

    fn post(&self, message: &FromEngine) {
        post(&self.port, message);
    }
}

fn no_model() -> Fault {
    BrowserError::Misuse {
        detail: "a job came before the model was opened".to_owned(),
    }
    .into()
}

fn post(port: &MessagePort, message: &FromEngine) {
    if let Err(error) = ports::send(port, message) {
        threads::report(&error.to_string());
    }
}
