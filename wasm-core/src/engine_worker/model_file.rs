//! The model a room is about: its manifest, its header, its graph.

use std::{rc::Rc, sync::Arc};

use model::{
    Graph, gguf,
    manifest::{Chunk, Manifest},
};
use session::{Fault, ModelReference};

use super::chunks::{Chunks, Source};
use crate::{
    error::{BrowserError, of_model},
    http,
};

/// Longest header a phone takes.
const MAX_HEADER_BYTES: usize = 256 << 20;

/// A model whose header is here; its weights are where the chunks are.
pub struct ModelFile {
    /// Hash of its chunk list.
    pub id: String,
    /// Where the file is, with the name this page counts under.
    pub url: String,
    /// Hashes.
    pub manifest: Rc<Manifest>,
    /// The op graph.
    pub graph: Arc<Graph>,
    /// Header bytes as in the file.
    pub header: Vec<u8>,
}

impl ModelFile {
    /// Fetches manifest and header.
    ///
    /// # Errors
    /// Another origin, a manifest that is not the one referred to, network, a file this version cannot run.
    pub async fn open(
        reference: &ModelReference,
        client: Option<&str>,
        chunks: &Chunks,
    ) -> Result<Self, Fault> {
        let manifest_url = same_origin(&reference.manifest)?;
        let url = counted(same_origin(&reference.file)?, client);
        let response = http::get(manifest_url).await?;
        let manifest: Manifest = http::json(&response, manifest_url).await?;
        manifest.check().map_err(|error| of_model(&error))?;
        if manifest.id() != reference.id {
            let detail = "the manifest is that of another model".to_owned();
            return Err(BrowserError::ServerAnswer {
                url: manifest_url.to_owned(),
                detail,
            }
            .into());
        }
        let manifest = Rc::new(manifest);
        let mut header = vec![0; header_len(&manifest)?];
        let needed = manifest.covering(std::slice::from_ref(&(0..manifest.header_bytes)));
        chunks
            .bring(
                &url,
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
            id: reference.id.clone(),
            url,
            manifest,
            graph,
            header,
        })
    }
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

/// Paths of this server only: a host must not make its guests fetch from elsewhere.
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
    }

    #[wasm_bindgen_test]
    fn a_clients_name_is_one_query_value() {
        assert_eq!(counted("/file", Some("a&b c")), "/file?client=a%26b%20c");
        assert_eq!(counted("/file", None), "/file");
    }
}
