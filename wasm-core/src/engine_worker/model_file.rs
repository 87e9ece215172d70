//! The model a room is about: its manifest, its header, its graph.

use std::{rc::Rc, sync::Arc};

use model::{
    Graph, gguf,
    manifest::{Chunk, Manifest},
};
use session::{Fault, ModelReference};
use web_sys::Blob;

use super::{
    chunks::{Chunks, Source},
    reading::{Place, Reader},
    repository::is_repository,
    shelf::Shelf,
};
use crate::{
    error::{BrowserError, of_model},
    http,
    messages::{HostedModel, Offer},
};

/// Longest header a phone takes.
pub const MAX_HEADER_BYTES: usize = 256 << 20;

/// A model whose header is here; its weights are where the chunks are.
pub struct ModelFile {
    /// As guests are told of it.
    pub reference: ModelReference,
    /// Where the file is, with the name this page counts under; `None` where only the room has it.
    pub url: Option<String>,
    /// Hashes.
    pub manifest: Rc<Manifest>,
    /// The op graph.
    pub graph: Arc<Graph>,
    /// Header bytes as in the file.
    pub header: Vec<u8>,
}

impl ModelFile {
    /// Host: opens what it was given; a file that nobody has a list of chunks of is read for it, which `tell` hears of.
    ///
    /// # Errors
    /// Those of [`Self::open`]; a file that cannot be read, or is not the one that was expected.
    pub async fn host(
        model: HostedModel,
        file: Option<Blob>,
        offer: &Offer,
        shelf: &Shelf,
        chunks: &Chunks,
        tell: &impl Fn(u64, u64),
    ) -> Result<Self, Fault> {
        let (reference, manifest) = match model {
            HostedModel::Known(reference) => return Self::open(&reference, offer, chunks).await,
            HostedModel::File => {
                let file = file.ok_or_else(|| BrowserError::Misuse {
                    detail: "the model's file did not arrive".to_owned(),
                })?;
                let reader = Reader::open(Place::Device(file.clone())).await?;
                // It stays where it is.
                let manifest = reader.list(None, &mut async |_, _| {}, tell).await?;
                shelf.set_file(file);
                let id = manifest.id();
                let reference = ModelReference {
                    id,
                    file: None,
                    manifest: None,
                };
                (reference, manifest)
            }
            HostedModel::Address { address, sha256 } => {
                let address = allowed(&address, &offer.model_origins)?.to_owned();
                let manifest = match shelf.list_of(&address, sha256).await {
                    Some(manifest) => manifest,
                    None => {
                        let reader = match is_repository(&address) {
                            true => Reader::of_repository(&address).await?,
                            false => Reader::open(Place::Address(address.clone())).await?,
                        };
                        let mut keep = async |chunk: &Chunk, bytes: &[u8]| {
                            shelf.keep(chunk, bytes).await;
                        };
                        let manifest = reader.list(sha256, &mut keep, tell).await?;
                        shelf.keep_list(&address, sha256, &manifest).await;
                        manifest
                    }
                };
                let reference = ModelReference {
                    id: manifest.id(),
                    // What is made of a repository lies nowhere but in the room.
                    file: (!is_repository(&address)).then_some(address),
                    manifest: None,
                };
                (reference, manifest)
            }
        };
        Self::with(reference, manifest, offer, chunks).await
    }

    /// Brings manifest and header.
    ///
    /// # Errors
    /// An address that is not allowed, a manifest that is not the one referred to, network, a file this version cannot run.
    pub async fn open(
        reference: &ModelReference,
        offer: &Offer,
        chunks: &Chunks,
    ) -> Result<Self, Fault> {
        let manifest = match &reference.manifest {
            Some(path) => of_server(path, &reference.id).await?,
            None => chunks.manifest(&reference.id).await?,
        };
        Self::with(reference.clone(), manifest, offer, chunks).await
    }

    async fn with(
        reference: ModelReference,
        manifest: Manifest,
        offer: &Offer,
        chunks: &Chunks,
    ) -> Result<Self, Fault> {
        let url = match &reference.file {
            Some(path) if path.starts_with('/') => {
                Some(counted(same_origin(path)?, offer.client.as_deref()))
            }
            Some(address) => Some(allowed(address, &offer.model_origins)?.to_owned()),
            None => None,
        };
        let manifest = Rc::new(manifest);
        let mut header = vec![0; header_len(&manifest)?];
        let needed = manifest.covering(std::slice::from_ref(&(0..manifest.header_bytes)));
        chunks
            .bring(
                url.as_deref(),
                &manifest,
                &needed,
                &mut async |chunk: &Chunk, bytes: &[u8], _: Source| {
                    put(&mut header, chunk, bytes);
                    Ok(())
                },
            )
            .await?;
        let graph =
            Arc::new(graph(&header, manifest.file_bytes).map_err(|error| of_model(&error))?);
        Ok(Self {
            reference,
            url,
            manifest,
            graph,
            header,
        })
    }
}

/// The list of chunks that the server has at a path, if it is the one with this name.
async fn of_server(path: &str, id: &str) -> Result<Manifest, Fault> {
    let path = same_origin(path)?;
    let response = http::get(path).await?;
    let manifest: Manifest = http::json(&response, path).await?;
    manifest.check().map_err(|error| of_model(&error))?;
    if manifest.id() == id {
        return Ok(manifest);
    }
    Err(BrowserError::ServerAnswer {
        url: path.to_owned(),
        detail: "the manifest is that of another model".to_owned(),
    }
    .into())
}

/// Bounded before memory is allocated for it: vocabularies take a few MiB.
fn header_len(manifest: &Manifest) -> Result<usize, Fault> {
    let too_long = || model::ModelError::Corrupt {
        detail: format!("its header has {} bytes", manifest.header_bytes),
    };
    let bytes = usize::try_from(manifest.header_bytes).ok();
    let bytes = bytes.filter(|bytes| *bytes <= MAX_HEADER_BYTES);
    bytes.ok_or_else(|| of_model(&too_long()))
}

/// Bytes of a chunk that lie in the header go where they belong.
fn put(header: &mut [u8], chunk: &Chunk, bytes: &[u8]) {
    let at = usize::try_from(chunk.offset).unwrap_or(usize::MAX);
    let places = header.iter_mut().skip(at);
    places.zip(bytes).for_each(|(place, byte)| *place = *byte);
}

fn graph(header: &[u8], file_bytes: u64) -> Result<Graph, model::ModelError> {
    match gguf::parse(header, Some(file_bytes))? {
        gguf::Progress::Done(header) => model::arch::build(&header),
        gguf::Progress::NeedMore { at_least_bytes } => Err(model::ModelError::Truncated {
            what: "the header".to_owned(),
            needed_bytes: at_least_bytes,
            file_bytes: header.len() as u64,
        }),
    }
}

/// Paths of this server, which a host may name as it likes.
fn same_origin(path: &str) -> Result<&str, Fault> {
    // Two slashes would name another host, and so would a backslash, which browsers read as a slash.
    let is_path = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    if is_path {
        Ok(path)
    } else {
        Err(BrowserError::ForeignModel {
            url: path.to_owned(),
        }
        .into())
    }
}

/// Addresses of the origins that this page allows: a host must not make its guests fetch from wherever it likes.
fn allowed<'a>(address: &'a str, origins: &[String]) -> Result<&'a str, Fault> {
    let origin = web_sys::Url::new(address).map(|url| url.origin()).ok();
    match origin.filter(|origin| origins.contains(origin)) {
        Some(_) => Ok(address),
        None => Err(BrowserError::ForeignModel {
            url: address.to_owned(),
        }
        .into()),
    }
}

/// The address under which the server counts this page's downloads.
fn counted(path: &str, client: Option<&str>) -> String {
    match client {
        Some(client) => format!(
            "{path}?client={}",
            String::from(js_sys::encode_uri_component(client))
        ),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn a_host_cannot_send_its_guests_elsewhere() {
        assert!(same_origin("/models/x/file").is_ok());
        for url in [
            "https://example.org/file",
            "//example.org/file",
            "/\\example.org/file",
            "file",
            "",
        ] {
            assert_eq!(same_origin(url).unwrap_err().code, "model.foreign", "{url}");
        }
        let origins = ["https://a.example".to_owned()];
        assert!(allowed("https://a.example/x/file?y", &origins).is_ok());
        for url in [
            "http://a.example/file",
            "https://a.example:444/file",
            "https://a.example.evil/file",
            "https://a.example@evil/file",
            "https://b.example/https://a.example",
            "file",
            "",
        ] {
            let fault = allowed(url, &origins).unwrap_err();
            assert_eq!(fault.code, "model.foreign", "{url}");
        }
    }

    #[wasm_bindgen_test]
    fn a_clients_name_is_one_query_value() {
        assert_eq!(counted("/file", Some("a&b c")), "/file?client=a%26b%20c");
        assert_eq!(counted("/file", None), "/file");
    }
}
