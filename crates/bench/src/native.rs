//! Arguments, clock and output.

use std::{fs::File, io::Read, path::PathBuf, process::ExitCode, time::Instant};

use bench::{More, Report};
use clap::{Parser, ValueEnum};
use engine::EngineError;
use model::ModelError;
use rustix::time::{ClockId, clock_gettime};

/// Of a model file; no header is longer.
const MAX_HEADER_BYTES: u64 = 64 << 20;

#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// A model file; only its header is read.
    #[arg(long)]
    model: PathBuf,
    /// Which executor.
    #[arg(long, value_enum, default_value = "cpu")]
    executor: Kind,
    /// A matrix of so many rows and columns in every storage type, too: ROWSxCOLUMNS; the GPU executor only.
    #[arg(long, value_parser = shape)]
    matrix: Option<(u32, u32)>,
    /// That matrix, and the whole model, with every variant of the kernels that the adapter may run; the GPU executor only.
    #[arg(long)]
    variants: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Cpu,
    Gpu,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Model(#[from] ModelError),
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

pub fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<String, Error> {
    let mut header = Vec::new();
    File::open(&options.model)?
        .take(MAX_HEADER_BYTES)
        .read_to_end(&mut header)?;
    let graph = bench::graph(&header)?;
    let start = Instant::now();
    let wall_ms = || start.elapsed().as_secs_f64() * 1e3;
    let report: Report = pollster::block_on(async {
        match options.executor {
            Kind::Cpu => bench::measure_cpu(&graph, cpu_ms).await,
            Kind::Gpu => {
                let more = More {
                    matrix: options.matrix,
                    variants: options.variants,
                };
                bench::measure_gpu(&graph, more, wall_ms).await
            }
        }
    })?;
    match options.json {
        true => Ok(serde_json::to_string(&report)?),
        false => Ok(report.to_string()),
    }
}

fn shape(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('x').and_then(|(rows, cols)| {
        let (rows, cols): (u32, u32) = (rows.parse().ok()?, cols.parse().ok()?);
        (rows > 0 && cols > 0 && cols.is_multiple_of(256)).then_some((rows, cols))
    });
    parsed.ok_or_else(|| "ROWSxCOLUMNS, columns a multiple of 256".to_owned())
}

/// Time this process had a processor: others use the machine too.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
