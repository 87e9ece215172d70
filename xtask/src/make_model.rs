//! Random-weight model files of real shapes, for speed and memory: only shape, types and sizes are real, what they write is noise.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use crate::{command::root, error::Error};

/// What to make.
#[derive(Args)]
pub struct Options {
    /// Which shape.
    #[arg(long, value_enum)]
    pub shape: ShapeName,
    /// Where to write it.
    #[arg(long)]
    pub out: PathBuf,
}

/// A real model's.
#[derive(Clone, Copy, ValueEnum)]
pub enum ShapeName {
    /// Llama 3.2 1B.
    #[value(name = "1b")]
    Llama1B,
    /// Llama 3.2 3B.
    #[value(name = "3b")]
    Llama3B,
}

/// Of a llama with tied embeddings.
struct Shape {
    name: &'static str,
    hidden: u64,
    feed_forward: u64,
    layers: u32,
    heads: u64,
    kv_heads: u64,
    head_dim: u64,
    vocabulary: u64,
}

const LLAMA_1B: Shape = Shape {
    name: "random weights, Llama 3.2 1B shape",
    hidden: 2048,
    feed_forward: 8192,
    layers: 16,
    heads: 32,
    kv_heads: 8,
    head_dim: 64,
    vocabulary: 128_256,
};

const LLAMA_3B: Shape = Shape {
    name: "random weights, Llama 3.2 3B shape",
    hidden: 3072,
    feed_forward: 8192,
    layers: 28,
    heads: 24,
    kv_heads: 8,
    head_dim: 128,
    vocabulary: 128_256,
};

/// Storage of a tensor.
#[derive(Clone, Copy)]
enum Storage {
    F32,
    Q4_0,
    Q8_0,
}

struct Tensor {
    name: String,
    rows: u64,
    cols: u64,
    storage: Storage,
}

impl Tensor {
    fn bytes(&self) -> u64 {
        let elements = self.rows * self.cols;
        match self.storage {
            Storage::F32 => 4 * elements,
            Storage::Q4_0 => elements / 32 * 18,
            Storage::Q8_0 => elements / 32 * 34,
        }
    }
}

/// Tensors start at multiples of it.
const ALIGNMENT: u64 = 32;

/// Writes the file.
///
/// # Errors
/// It could not be written.
pub fn run(options: &Options) -> Result<(), Error> {
    let shape = match options.shape {
        ShapeName::Llama1B => LLAMA_1B,
        ShapeName::Llama3B => LLAMA_3B,
    };
    let path = root().join(&options.out);
    let written = write(&shape, &path);
    let bytes = written.map_err(|error| Error::File {
        path: path.display().to_string(),
        detail: error.to_string(),
    })?;
    let mib = bytes.div_ceil(1 << 20);
    eprintln!("{}: {}, {mib} MiB", path.display(), shape.name);
    Ok(())
}

fn write(shape: &Shape, path: &std::path::Path) -> std::io::Result<u64> {
    let tensors = tensors(shape);
    let header = header(shape, &tensors);
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header)?;
    let mut random = SplitMix(1);
    let mut written = header.len() as u64;
    for tensor in &tensors {
        write_tensor(&mut file, tensor, &mut random)?;
        let padding = tensor.bytes().next_multiple_of(ALIGNMENT) - tensor.bytes();
        file.write_all(&vec![0; padding as usize])?;
        written += tensor.bytes() + padding;
    }
    file.flush()?;
    Ok(written)
}

fn tensors(shape: &Shape) -> Vec<Tensor> {
    let tensor = |name: String, rows, cols, storage| Tensor {
        name: name + ".weight",
        rows,
        cols,
        storage,
    };
    let Shape {
        hidden,
        feed_forward,
        ..
    } = *shape;
    let (q, kv) = (
        shape.heads * shape.head_dim,
        shape.kv_heads * shape.head_dim,
    );
    let mut tensors = vec![tensor(
        "token_embd".to_owned(),
        shape.vocabulary,
        hidden,
        Storage::Q8_0,
    )];
    for layer in 0..shape.layers {
        let norm = |part: &str| tensor(format!("blk.{layer}.{part}"), 1, hidden, Storage::F32);
        let matrix = |part: &str, rows, cols| {
            tensor(format!("blk.{layer}.{part}"), rows, cols, Storage::Q4_0)
        };
        tensors.extend([
            norm("attn_norm"),
            matrix("attn_q", q, hidden),
            matrix("attn_k", kv, hidden),
            matrix("attn_v", kv, hidden),
            matrix("attn_output", hidden, q),
            norm("ffn_norm"),
            matrix("ffn_gate", feed_forward, hidden),
            matrix("ffn_up", feed_forward, hidden),
            matrix("ffn_down", hidden, feed_forward),
        ]);
    }
    tensors.push(tensor("output_norm".to_owned(), 1, hidden, Storage::F32));
    tensors
}

/// Everything before the weights: metadata and the list of tensors (GGUF 3).
fn header(shape: &Shape, tensors: &[Tensor]) -> Vec<u8> {
    let mut pairs = Pairs::default();
    pairs.text("general.architecture", "llama");
    pairs.text("general.name", shape.name);
    pairs.number("llama.block_count", shape.layers);
    pairs.number("llama.context_length", 8192);
    pairs.number("llama.embedding_length", shape.hidden as u32);
    pairs.number("llama.feed_forward_length", shape.feed_forward as u32);
    pairs.number("llama.attention.head_count", shape.heads as u32);
    pairs.number("llama.attention.head_count_kv", shape.kv_heads as u32);
    pairs.number("llama.rope.dimension_count", shape.head_dim as u32);
    pairs.number("llama.vocab_size", shape.vocabulary as u32);
    pairs.float("llama.rope.freq_base", 5e5);
    pairs.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    pairs.text("tokenizer.ggml.model", "gpt2");
    pairs.text("tokenizer.ggml.pre", "llama-bpe");
    let tokens = byte_tokens()
        .chain(["<|bos|>".to_owned(), "<|eos|>".to_owned()])
        .chain((258..shape.vocabulary).map(|token| format!("<t{token}>")));
    pairs.texts("tokenizer.ggml.tokens", tokens);
    pairs.texts(
        "tokenizer.ggml.merges",
        ["\u{120} t".to_owned()].into_iter(),
    );
    pairs.number("tokenizer.ggml.bos_token_id", 256);
    pairs.number("tokenizer.ggml.eos_token_id", 257);

    let mut header = b"GGUF".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(pairs.count.to_le_bytes());
    header.extend(pairs.bytes);
    let mut offset = 0_u64;
    for tensor in tensors {
        push_text(&mut header, &tensor.name);
        let shape: &[u64] = match tensor.rows {
            1 => &[tensor.cols],
            _ => &[tensor.cols, tensor.rows],
        };
        header.extend((shape.len() as u32).to_le_bytes());
        shape
            .iter()
            .for_each(|len| header.extend(len.to_le_bytes()));
        let code: u32 = match tensor.storage {
            Storage::F32 => 0,
            Storage::Q4_0 => 2,
            Storage::Q8_0 => 8,
        };
        header.extend(code.to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
    header
}

/// GPT-2's characters for the 256 bytes: printable ones stand for themselves, the others follow U+0100.
fn byte_tokens() -> impl Iterator<Item = String> {
    let printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 0x100_u32..;
    (0..=255_u8).map(move |byte| match printable(&byte) {
        true => char::from(byte).to_string(),
        false => others
            .next()
            .and_then(char::from_u32)
            .map(String::from)
            .unwrap_or_default(),
    })
}

/// Key-value pairs.
#[derive(Default)]
struct Pairs {
    bytes: Vec<u8>,
    count: u64,
}

impl Pairs {
    fn key(&mut self, key: &str, kind: u32) {
        push_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn number(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        push_text(&mut self.bytes, value);
    }

    fn texts(&mut self, key: &str, values: impl Iterator<Item = String>) {
        self.key(key, 9);
        let values: Vec<_> = values.collect();
        self.bytes.extend(8_u32.to_le_bytes());
        self.bytes.extend((values.len() as u64).to_le_bytes());
        values
            .iter()
            .for_each(|value| push_text(&mut self.bytes, value));
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Gains of one; matrix rows of about unit length, so that values keep their scale.
fn write_tensor(
    out: &mut impl Write,
    tensor: &Tensor,
    random: &mut SplitMix,
) -> std::io::Result<()> {
    let elements = tensor.rows * tensor.cols;
    let deviation = 1.0 / (tensor.cols as f32).sqrt();
    let (scale, words) = match tensor.storage {
        Storage::F32 => {
            return (0..elements).try_for_each(|_| out.write_all(&1.0_f32.to_le_bytes()));
        }
        // Deviations of uniform nibbles and bytes.
        Storage::Q4_0 => (deviation / 4.6, 2),
        Storage::Q8_0 => (deviation / 73.9, 4),
    };
    for _ in 0..elements / 32 {
        out.write_all(&half(scale))?;
        for _ in 0..words {
            out.write_all(&random.next().to_le_bytes())?;
        }
    }
    Ok(())
}

/// A positive number that a half has no smaller than normal; rounded down.
fn half(number: f32) -> [u8; 2] {
    let bits = number.to_bits();
    ((((bits >> 23) - 112) << 10 | (bits >> 13 & 0x3ff)) as u16).to_le_bytes()
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
