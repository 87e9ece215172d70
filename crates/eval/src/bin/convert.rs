//! `cargo xtask convert`: a Hugging Face repository as one GGUF file, which a server or a page can give to a room.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use eval::{error::Error, source::Source, tokenizer};
use model::{arch, hugging_face::Target};

/// Written at once.
const PIECE_BYTES: u64 = 8 << 20;

#[derive(Parser)]
#[command(name = "convert", about = "A Hugging Face repository as one GGUF file")]
struct Options {
    /// Its folder: config.json, *.safetensors or pytorch_model*.bin, and its tokenizer's files.
    repository: PathBuf,
    /// The file to write.
    out: PathBuf,
    /// What its weights become.
    #[arg(long, value_enum, default_value_t = Quantise::Q8_0)]
    quantise: Quantise,
}

#[derive(Clone, Copy, ValueEnum)]
#[allow(non_camel_case_types, reason = "as people write them")]
enum Quantise {
    Keep,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q4_0")]
    Q4_0,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Error> {
    let target = match options.quantise {
        Quantise::Keep => Target::Keep,
        Quantise::Q8_0 => Target::Q8_0,
        Quantise::Q4_0 => Target::Q4_0,
    };
    if options.out.exists() {
        return Err(Error::Question {
            detail: format!("{} is there already", options.out.display()),
        });
    }
    let vocabulary = tokenizer::vocabulary(&options.repository)?;
    let mut source = Source::repository(&options.repository, target, vocabulary.fields())?;
    // What no builder knows is told before minutes of work.
    arch::build(&source.header)?;
    // Half a file has another name.
    let partial = options.out.with_extension("gguf.partial");
    write(&mut source, &partial)?;
    fs::rename(&partial, &options.out).map_err(failed(&options.out))?;
    println!(
        "{}: {} MB",
        options.out.display(),
        source.file_bytes().div_ceil(1_000_000)
    );
    Ok(())
}

fn write(source: &mut Source, path: &Path) -> Result<(), Error> {
    let mut file = File::create(path).map_err(failed(path))?;
    let all = source.file_bytes();
    let mut done = 0;
    while done < all {
        let end = all.min(done + PIECE_BYTES);
        let piece = source.read(done..end)?;
        file.write_all(&piece).map_err(failed(path))?;
        done = end;
        eprint!("\r{} %", 100 * done / all);
    }
    eprintln!();
    file.sync_all().map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::File {
        path: path.clone(),
        error,
    }
}
