//! `cargo xtask eval`: what a model file computes. The tool to trust a file or a kernel with.

mod report;
mod ring;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, ValueEnum};
use engine::{
    CpuExecutor, EngineError, Executor, Setup,
    gpu::{GpuDevice, GpuExecutor},
};
use eval::{
    error::{Error, exit},
    quantise::Quantise,
    source::Source,
    tokenizer,
};
use model::{Graph, NumericClass, WireDtype, arch};
use text::{Tokenizer, Vocabulary};

use self::{
    report::{Class, Report, best, perplexity},
    ring::Ring,
};

#[derive(Parser)]
#[command(name = "eval", about = "Logits, greedy ids and perplexity of a model")]
struct Options {
    /// A .gguf file, or the folder of a Hugging Face repository (config.json, *.safetensors or pytorch_model*.bin).
    file: PathBuf,
    /// Token ids, with commas between.
    #[arg(
        long,
        value_delimiter = ',',
        conflicts_with = "text",
        required_unless_present = "text"
    )]
    ids: Vec<u32>,
    /// Text, tokenised by the model's own tokenizer.
    #[arg(long)]
    text: Option<String>,
    /// What runs it.
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    executor: Kind,
    /// Segments to cut it into.
    #[arg(long, default_value_t = 1)]
    split: u32,
    /// Rounding at every legal cut.
    #[arg(long, value_enum, default_value_t = Wire::F32)]
    wire: Wire,
    /// What weights of a repository become.
    #[arg(long, value_enum, default_value_t = Quantise::Keep)]
    quantise: Quantise,
    /// Tokens to write.
    #[arg(long, default_value_t = 32)]
    max_tokens: u32,
    /// Prompt columns that run together.
    #[arg(long, default_value_t = NumericClass::DEFAULT_CHUNK_COLUMNS)]
    chunk: u32,
    /// Best tokens to show.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Cpu,
    Gpu,
    #[cfg(feature = "burn")]
    Burn,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wire {
    F32,
    F16,
}

fn main() -> ExitCode {
    exit(&run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), Error> {
    let mut source = Source::open(&options.file, options.quantise.into())?;
    let graph = Arc::new(arch::build(&source.header)?);
    let ids = match &options.text {
        Some(text) => {
            let vocabulary = match options.file.is_dir() {
                true => tokenizer::vocabulary(&options.file)?,
                false => Vocabulary::of(&source.header.metadata),
            };
            Tokenizer::new(&vocabulary)?.encode(text, false, true)?
        }
        None => options.ids.clone(),
    };
    let class = class(options, &graph, &ids)?;
    let report = match options.executor {
        Kind::Cpu => evaluate(
            options,
            &mut source,
            &graph,
            class,
            ids,
            "cpu",
            CpuExecutor::new,
        )?,
        Kind::Gpu => {
            let device = pollster::block_on(GpuDevice::request("eval"))?;
            let name = device.adapter_name();
            let make = |setup| GpuExecutor::new(&device, setup);
            evaluate(options, &mut source, &graph, class, ids, &name, make)?
        }
        #[cfg(feature = "burn")]
        Kind::Burn => {
            let gpu = pollster::block_on(GpuDevice::request("eval"))?;
            let device = engine::burn::BurnDevice::new(&gpu)?;
            let name = format!("Burn on {}", gpu.adapter_name());
            let make = |setup| engine::burn::BurnExecutor::new(&device, setup);
            evaluate(options, &mut source, &graph, class, ids, &name, make)?
        }
    };
    if options.json {
        let json = serde_json::to_string(&report).map_err(|error| Error::Question {
            detail: error.to_string(),
        })?;
        println!("{json}");
    } else {
        print(&report);
    }
    Ok(())
}

/// As much context as is needed.
fn class(options: &Options, graph: &Graph, ids: &[u32]) -> Result<NumericClass, Error> {
    let refuse = |detail: String| Err(Error::Question { detail });
    let needed = u32::try_from(ids.len())
        .ok()
        .and_then(|len| len.checked_add(options.max_tokens));
    let Some(context_columns) = needed.filter(|_| !ids.is_empty()) else {
        return refuse("a prompt has at least one token".to_owned());
    };
    if context_columns > graph.max_context_columns {
        let most = graph.max_context_columns;
        return refuse(format!(
            "{context_columns} columns, where the model was made for {most}"
        ));
    }
    let class = NumericClass {
        wire: match options.wire {
            Wire::F32 => WireDtype::F32,
            Wire::F16 => WireDtype::F16Scaled,
        },
        chunk_columns: options.chunk.min(context_columns),
        context_columns,
    };
    class.check()?;
    Ok(class)
}

fn evaluate<E: Executor>(
    options: &Options,
    source: &mut Source,
    graph: &Arc<Graph>,
    class: NumericClass,
    ids: Vec<u32>,
    executor: &str,
    make: impl Fn(Setup) -> Result<E, EngineError>,
) -> Result<Report, Error> {
    let mut ring = Ring::load(source, graph, class, options.split, make)?;
    let columns = ring.prompt(&ids)?;
    let last_logits = columns.last().cloned().unwrap_or_default();
    let (mut greedy_ids, mut gaps) = (Vec::new(), Vec::new());
    let mut logits = last_logits.clone();
    for position in (ids.len() as u32..).take(options.max_tokens as usize) {
        let leaders = best(&logits, 2);
        let [first, rest @ ..] = leaders.as_slice() else {
            break;
        };
        greedy_ids.push(first.id);
        gaps.extend(rest.first().map(|second| first.logit - second.logit));
        logits = ring.next(first.id, position)?;
    }
    Ok(Report {
        top_k: best(&last_logits, options.top),
        perplexity: perplexity(&columns, &ids),
        ids,
        last_logits,
        greedy_ids,
        gaps,
        numeric_class: Class {
            executor: executor.to_owned(),
            class,
            segments: options.split,
        },
    })
}

fn print(report: &Report) {
    println!("prompt   {:?}", report.ids);
    for candidate in &report.top_k {
        println!("{:>8} {:>10.5}", candidate.id, candidate.logit);
    }
    println!("greedy   {:?}", report.greedy_ids);
    if let Some(perplexity) = report.perplexity {
        println!("perplexity {perplexity:.5}");
    }
    let Class {
        executor, segments, ..
    } = &report.numeric_class;
    println!("on {executor}, {segments} segments");
}
