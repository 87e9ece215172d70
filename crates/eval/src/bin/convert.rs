//! `cargo xtask convert`: a Hugging Face repository as one GGUF file, which a server or a page can give to a room.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use eval::{
    error::{Error, exit},
    quantise::Quantise,
    source::Source,
    tokenizer,
};
use model::arch;

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

fn main() -> ExitCode {
    exit(&run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), Error> {
    if options.out.exists() {
        return Err(Error::Question {
            detail: format!("{} is there already", options.out.display()),
        });
    }
    let vocabulary = tokenizer::vocabulary(&options.repository)?;
    let mut source = Source::repository(
        &options.repository,
        options.quantise.into(),
        vocabulary.fields(),
    )?;
    // What no builder knows is told before minutes of work.
    arch::build(&source.header)?;
    // Half a file has another name.
    let partial = options.out.with_extension("gguf.partial");
    write(&mut source, &partial)?;
    fs::rename(&partial, &options.out).map_err(Error::of_file(&options.out))?;
    println!(
        "{}: {} MB",
        options.out.display(),
        source.file_bytes().div_ceil(1_000_000)
    );
    Ok(())
}

fn write(source: &mut Source, path: &Path) -> Result<(), Error> {
    let mut file = File::create(path).map_err(Error::of_file(path))?;
    let all = source.file_bytes();
    let mut done = 0;
    while done < all {
        let end = all.min(done + PIECE_BYTES);
        let piece = source.read(done..end)?;
        file.write_all(&piece).map_err(Error::of_file(path))?;
        done = end;
        eprint!("\r{} %", 100 * done / all);
    }
    eprintln!();
    file.sync_all().map_err(Error::of_file(path))
}
