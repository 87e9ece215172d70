//! A Hugging Face repository at an address, read as the GGUF file that `cargo xtask convert` would make of it.

use core::ops::Range;
use std::collections::BTreeMap;

use model::{
    ModelError,
    hugging_face::{
        self, Target, VirtualFile,
        safetensors::{self, Tensor},
    },
};
use session::Fault;
use text::Vocabulary;

use super::reading::{Place, Reader, patiently};
use crate::{
    error::{BrowserError, of_model, of_text},
    http,
};

/// Of a file that is no weights, at most: vocabularies take up to 33 MB.
const MAX_TEXT_BYTES: u64 = 128 << 20;

/// Its files of weights, block by block, and what is made of them.
pub struct Repository {
    address: String,
    file: VirtualFile,
    weights: Vec<Reader>,
}

/// Whether an address is that of a repository: of the file that says what model it is. After a # the type of its weights may
/// stand.
pub fn is_repository(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.ends_with("/config.json")
}

impl Repository {
    /// Reads everything but the weights. Those become `q8_0`, `q4_0` or stay what they are (`keep`), as the address says behind its #;
    /// `q8_0` where it says nothing.
    ///
    /// # Errors
    /// Files that are missing, a model or a tokenizer that nobody knows.
    pub async fn open(address: &str) -> Result<Self, Fault> {
        let target = target(address)?;
        let config = async || http::whole(address, MAX_TEXT_BYTES).await;
        let config = patiently(address, config).await?;
        let mut weights = Vec::new();
        let mut tensors = Vec::new();
        for name in shards(address).await? {
            let mut reader = Reader::open(Place::Address(beside(address, &name)?)).await?;
            tensors.push(tensors_of(&mut reader).await?);
            weights.push(reader);
        }
        let vocabulary = vocabulary(address).await?;
        let file = VirtualFile::new(&config, &tensors, target, vocabulary.fields());
        Ok(Self {
            address: address.to_owned(),
            file: file.map_err(|error| of_model(&error))?,
            weights,
        })
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Size of the GGUF file.
    pub const fn file_bytes(&self) -> u64 {
        self.file.file_bytes()
    }

    /// Bytes of the GGUF file.
    ///
    /// # Errors
    /// The network.
    pub async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let weights = &mut self.weights;
        let read = self.file.read(range, async |index, range| {
            let missing = || of_model(&ModelError::corrupt("a tensor lies in no file"));
            let reader: &mut Reader = weights.get_mut(index).ok_or_else(missing)?;
            reader.read(range).await
        });
        read.await
    }
}

fn target(address: &str) -> Result<Target, Fault> {
    match address.split_once('#').map(|(_, target)| target) {
        None | Some("q8_0") => Ok(Target::Q8_0),
        Some("q4_0") => Ok(Target::Q4_0),
        Some("keep") => Ok(Target::Keep),
        Some(other) => Err(BrowserError::AddressUnreadable {
            address: address.to_owned(),
            detail: format!("weights cannot become {other}, only q8_0, q4_0, or keep"),
        }
        .into()),
    }
}

/// Files of weights: those that an index names, or the one without an index.
async fn shards(address: &str) -> Result<Vec<String>, Fault> {
    match optional(address, "model.safetensors.index.json").await? {
        Some(index) => hugging_face::shards(&index).map_err(|error| of_model(&error)),
        None => Ok(vec!["model.safetensors".to_owned()]),
    }
}

async fn tensors_of(reader: &mut Reader) -> Result<BTreeMap<String, Tensor>, Fault> {
    let empty = || of_model(&ModelError::corrupt("a file of it is empty"));
    let length = reader.read(0..safetensors::LENGTH_BYTES).await?;
    let length = length.first_chunk().ok_or_else(empty)?;
    let header_bytes = safetensors::header_bytes(*length).map_err(|error| of_model(&error))?;
    let header = reader.read(0..header_bytes).await?;
    let tensors = safetensors::parse(&header, reader.file_bytes());
    tensors.map_err(|error| of_model(&error))
}

/// Later files are for repositories that lack the first.
async fn vocabulary(address: &str) -> Result<Vocabulary, Fault> {
    let mut files = BTreeMap::new();
    for name in Vocabulary::FILES {
        let is_needless = files.contains_key("tokenizer.json") && name != "tokenizer_config.json";
        if is_needless {
            continue;
        }
        if let Some(bytes) = optional(address, name).await? {
            files.insert(name, bytes);
        }
    }
    Vocabulary::of_repository(&files).map_err(|error| of_text(&error))
}

/// A file beside the one at the address.
fn beside(address: &str, name: &str) -> Result<String, Fault> {
    let url = web_sys::Url::new_with_base(name, address);
    Ok(url.map_err(|thrown| BrowserError::thrown(&thrown))?.href())
}

/// A file beside it that need not be there.
async fn optional(address: &str, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let file = beside(address, name)?;
    let ask = async || match http::whole(&file, MAX_TEXT_BYTES).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(fault) if fault.code == "server.answer" => Ok(None),
        Err(fault) => Err(fault),
    };
    patiently(&file, ask).await
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn an_address_says_what_it_is_of() {
        for address in [
            "https://a.example/x/config.json",
            "https://a.example/x/config.json?y",
            "https://a.example/x/config.json#q4_0",
        ] {
            assert!(is_repository(address), "{address}");
        }
        for address in [
            "https://a.example/model.gguf",
            "https://a.example/model.gguf#/config.json",
            "https://a.example/config.json/model.gguf",
            "",
        ] {
            assert!(!is_repository(address), "{address}");
        }
        let of = |behind: &str| target(&format!("https://a.example/config.json{behind}"));
        assert_eq!(of("").unwrap(), Target::Q8_0);
        assert_eq!(of("#q4_0").unwrap(), Target::Q4_0);
        assert_eq!(of("#keep").unwrap(), Target::Keep);
        assert_eq!(of("#q3").unwrap_err().code, "model.address_unreadable");
    }

    #[wasm_bindgen_test]
    fn its_other_files_lie_beside_it() {
        let file = beside("https://a.example/x/config.json?y#q4_0", "tokenizer.json").unwrap();
        assert_eq!(file, "https://a.example/x/tokenizer.json");
    }
}
