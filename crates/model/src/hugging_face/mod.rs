//! A Hugging Face repository (config.json, safetensors) read as if it were one GGUF file.
//!
//! Header and layout of that file follow from the repository's headers; any range of it is made from ranges of the repository's files
//! when somebody asks for it, quantised on the way. So graph, chunks, segments and executors know one kind of file.

mod fields;
mod names;
mod quantise;
mod recipe;
pub mod safetensors;

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

pub use quantise::Target;

use self::{
    fields::{Config, Fields},
    names::Names,
    recipe::{Change, Recipe, Source},
    safetensors::Tensor,
};
use crate::{
    dtype::DType,
    error::ModelError,
    gguf::{
        Value,
        write::{self, Announcement},
    },
};

/// Blocks of a model, at most.
const MAX_BLOCKS: u32 = 1024;

/// A GGUF file that is made piece by piece.
#[derive(Debug, Clone)]
pub struct VirtualFile {
    header: Vec<u8>,
    file_bytes: u64,
    /// Ascending.
    tensors: Vec<(Range<u64>, Recipe)>,
}

/// Names of the files in `model.safetensors.index.json`, or in `pytorch_model.bin.index.json`, each once.
///
/// # Errors
/// No index, or names that are no names of files beside it.
pub fn shards(index: &[u8]) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let corrupt = |detail: String| ModelError::Corrupt { detail };
    let index: Index =
        serde_json::from_slice(index).map_err(|error| corrupt(format!("its index: {error}")))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let known = |name: &str| name.ends_with(".safetensors") || name.ends_with(".bin");
    let beside = |name: &String| known(name) && !name.contains(['/', '\\']);
    match names.iter().find(|name| !beside(name)) {
        Some(name) => Err(corrupt(format!("its index names the file {name}"))),
        None => Ok(names.into_iter().collect()),
    }
}

impl VirtualFile {
    /// `config` is `config.json`, `files` the tensors of each safetensors file, `tokenizer` the `tokenizer.*` fields.
    ///
    /// # Errors
    /// A model that has no builder, fields or tensors that are missing, tensors nobody knows.
    pub fn new(
        config: &[u8],
        files: &[BTreeMap<String, Tensor>],
        target: Target,
        tokenizer: Vec<(String, Value)>,
    ) -> Result<Self, ModelError> {
        let config = serde_json::from_slice(config).map_err(|error| ModelError::Corrupt {
            detail: format!("config.json: {error}"),
        })?;
        let config = Config(&config);
        let mut fields = config.fields()?;
        let names = names::of(config.model_type()?).ok_or_else(|| ModelError::Architecture {
            name: fields.architecture.to_owned(),
        })?;
        let mut cook = Cook {
            files,
            names,
            fields: &fields,
            target,
            used: BTreeSet::new(),
            recipes: Vec::new(),
        };
        cook.recipes()?;
        let recipes = cook.recipes;
        fields.metadata.extend(tokenizer);
        Ok(Self::laid_out(&fields.metadata, recipes))
    }

    fn laid_out(metadata: &[(String, Value)], recipes: Vec<Recipe>) -> Self {
        let mut offset = 0;
        let mut announcements = Vec::new();
        for recipe in &recipes {
            announcements.push(Announcement {
                name: recipe.name.clone(),
                dtype: recipe.dtype,
                rows: recipe.rows,
                cols: recipe.cols,
                offset,
            });
            offset = write::aligned(offset + recipe.bytes());
        }
        let header = write::header(metadata, &announcements);
        let start = header.len() as u64;
        let place = |(announcement, recipe): (Announcement, Recipe)| {
            let at = start + announcement.offset;
            (at..at + recipe.bytes(), recipe)
        };
        let tensors: Vec<_> = announcements.into_iter().zip(recipes).map(place).collect();
        Self {
            file_bytes: tensors.last().map_or(start, |(range, _)| range.end),
            header,
            tensors,
        }
    }

    /// The header, as a GGUF file begins.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Size of the whole file.
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Bytes of the file. `fetch` reads a range of one of the repository's files, by its index. Holds a range's rows in memory, or a
    /// whole tensor where its columns become rows.
    ///
    /// # Errors
    /// Whatever `fetch` says.
    pub async fn read<E>(
        &self,
        range: Range<u64>,
        mut fetch: impl AsyncFnMut(usize, Range<u64>) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let mut out = Vec::new();
        let within = |part: Range<u64>| part.start.max(range.start)..part.end.min(range.end);
        let of_header = within(0..self.header.len() as u64);
        out.extend(slice(&self.header, 0, &of_header));
        for (place, recipe) in &self.tensors {
            let wanted = within(place.clone());
            if wanted.is_empty() {
                continue;
            }
            // Padding in front of it.
            let padding = wanted.start.saturating_sub(range.start + out.len() as u64);
            out.resize(out.len() + usize::try_from(padding).unwrap_or(0), 0);
            let row_bytes = recipe.bytes() / u64::from(recipe.rows.max(1));
            let row = |at: u64| u32::try_from((at - place.start) / row_bytes).unwrap_or(u32::MAX);
            let rows = row(wanted.start)..row(wanted.end - 1) + 1;
            let start = place.start + u64::from(rows.start) * row_bytes;
            let rows = recipe.rows(rows, &mut fetch).await?;
            out.extend(slice(&rows, start, &wanted));
        }
        let len = range.end.min(self.file_bytes).saturating_sub(range.start);
        out.resize(usize::try_from(len).unwrap_or(out.len()), 0);
        Ok(out)
    }
}

/// The `wanted` part of bytes that begin at `start`.
fn slice<'a>(bytes: &'a [u8], start: u64, wanted: &Range<u64>) -> &'a [u8] {
    let index = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
    let part = index(wanted.start)..index(wanted.end);
    bytes.get(part).unwrap_or_default()
}

impl Recipe {
    fn bytes(&self) -> u64 {
        self.dtype.row_bytes(self.cols).unwrap_or(0) * u64::from(self.rows)
    }
}

/// Finds every tensor of a model in its repository.
struct Cook<'a> {
    files: &'a [BTreeMap<String, Tensor>],
    names: &'a Names,
    fields: &'a Fields,
    target: Target,
    used: BTreeSet<&'a str>,
    recipes: Vec<Recipe>,
}

impl<'a> Cook<'a> {
    fn recipes(&mut self) -> Result<(), ModelError> {
        let names = self.names;
        for (gguf, theirs, change) in names.once {
            if *gguf == "output" && self.fields.tied {
                continue;
            }
            self.push(gguf, theirs, *change);
        }
        for block in 0..self.blocks() {
            let number = block.to_string();
            for (gguf, theirs, change) in names.per_block {
                let theirs = format!("{}{theirs}", names.block.replace('#', &number));
                self.push(&format!("blk.{block}.{gguf}"), &theirs, *change);
            }
        }
        if let Some(factors) = &self.fields.frequency_factors {
            self.recipes.push(Recipe {
                name: "rope_freqs.weight".to_owned(),
                dtype: DType::F32,
                rows: 1,
                cols: u32::try_from(factors.len()).unwrap_or(0),
                source: Source::Computed(factors.clone()),
            });
        }
        self.check_all_used()
    }

    fn blocks(&self) -> u32 {
        let key = format!("{}.block_count", self.fields.architecture);
        let count = self.fields.metadata.iter().find(|(name, _)| *name == key);
        match count {
            Some((_, Value::Integer(count))) => u32::try_from(*count).unwrap_or(0).min(MAX_BLOCKS),
            _ => 0,
        }
    }

    /// A map and its bias, or whichever of them there is; what a builder misses it will name.
    fn push(&mut self, gguf: &str, theirs: &str, change: Change) {
        for ending in [".weight", ".bias"] {
            if let Some((file, tensor)) = self.find(&format!("{theirs}{ending}")) {
                let (rows, cols) = match change {
                    Change::Transposed if tensor.rows > 1 => (tensor.cols, tensor.rows),
                    _ => (tensor.rows, tensor.cols),
                };
                // Vectors are few and stay exact.
                let dtype = match rows {
                    1 => DType::F32,
                    _ => self.target.dtype(tensor.dtype, cols),
                };
                self.recipes.push(Recipe {
                    name: format!("{gguf}{ending}"),
                    dtype,
                    rows,
                    cols,
                    source: Source::Tensor {
                        file,
                        tensor: tensor.clone(),
                        change,
                        head_dim: self.fields.head_dim,
                    },
                });
            }
        }
    }

    /// Some repositories leave out a part of the prefix.
    fn find(&mut self, name: &str) -> Option<(usize, &'a Tensor)> {
        let prefix = self.names.prefix;
        let short = prefix.strip_prefix("model.").unwrap_or_default();
        for name in [
            format!("{prefix}{name}"),
            format!("{short}{name}"),
            name.to_owned(),
        ] {
            for (index, file) in self.files.iter().enumerate() {
                if let Some((name, tensor)) = file.get_key_value(&name) {
                    self.used.insert(name);
                    return Some((index, tensor));
                }
            }
        }
        None
    }

    /// A tensor nobody reads would make text go wrong without a word; masks, frequencies and a copy of the table do not.
    fn check_all_used(&self) -> Result<(), ModelError> {
        let needless = |name: &str| {
            let ends = [".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq"];
            let tied_head = self.fields.tied && name == "lm_head.weight";
            tied_head || ends.iter().any(|end| name.ends_with(end))
        };
        let mut all = self.files.iter().flat_map(BTreeMap::keys);
        match all.find(|name| !self.used.contains(name.as_str()) && !needless(name)) {
            Some(name) => Err(ModelError::Architecture {
                name: format!("{} with {name}", self.fields.architecture),
            }),
            None => Ok(()),
        }
    }
}
