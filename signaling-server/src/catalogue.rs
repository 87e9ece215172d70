//! Models on other sites that a page may start rooms with. Their bytes never pass this server.

use std::{fs, path::Path, str::FromStr};

use axum::body::Bytes;
use model::manifest::Hash;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{error::StartError, web::ModelOrigin};

/// What pages are told, and which sites they may ask for it.
pub struct Catalogue {
    /// The models as they are sent.
    pub json: Bytes,
    /// Of the addresses, and of what they redirect to.
    pub origins: Vec<ModelOrigin>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Sites that the addresses redirect to.
    #[serde(default, deserialize_with = "origins")]
    redirects: Vec<ModelOrigin>,
    models: Vec<Entry>,
}

/// A GGUF file on another site.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// For people.
    name: String,
    address: String,
    file_bytes: u64,
    /// For people.
    licence: String,
    /// Of the whole file, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Hash>,
}

impl Default for Catalogue {
    /// Of no models.
    fn default() -> Self {
        Self {
            json: Bytes::from_static(b"[]"),
            origins: Vec::new(),
        }
    }
}

impl Catalogue {
    /// Reads the file.
    ///
    /// # Errors
    /// `catalogue.*`: it cannot be read, or is no catalogue.
    pub fn read(file: &Path) -> Result<Self, StartError> {
        let text = fs::read(file).map_err(|error| StartError::CatalogueUnreadable {
            file: file.to_owned(),
            detail: error.to_string(),
        })?;
        Self::parse(&text).map_err(|error| StartError::CatalogueMalformed {
            file: file.to_owned(),
            detail: error.to_string(),
        })
    }

    fn parse(text: &[u8]) -> serde_json::Result<Self> {
        let Contents { redirects, models } = serde_json::from_slice(text)?;
        let mut origins = redirects;
        for entry in &models {
            let origin = ModelOrigin::of(&entry.address).map_err(serde_json::Error::custom)?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        let json = serde_json::to_vec(&models)?.into();
        Ok(Self { json, origins })
    }
}

fn origins<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ModelOrigin>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let origins = texts.iter().map(|text| ModelOrigin::from_str(text));
    origins.collect::<Result<_, _>>().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_comes_with_the_server_is_one() {
        let catalogue = Catalogue::parse(include_bytes!("../catalogue.json")).unwrap();
        assert_eq!(
            catalogue.origins,
            ["https://*.hf.co", "https://huggingface.co"].map(|origin| origin.parse().unwrap())
        );
        let models: Vec<Entry> = serde_json::from_slice(&catalogue.json).unwrap();
        assert!(models.iter().all(|entry| entry.sha256.is_some()));
    }

    #[test]
    fn what_is_none_is_refused() {
        let entry = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut entry = serde_json::json!({
                "name": "a", "address": "https://a.example/m.gguf", "file_bytes": 1, "licence": "MIT"
            });
            change(&mut entry);
            Catalogue::parse(
                serde_json::json!({ "models": [entry] })
                    .to_string()
                    .as_bytes(),
            )
        };
        assert!(entry(&|_| ()).is_ok());
        let wrong: [(&str, serde_json::Value); 7] = [
            ("address", "http://a.example/m.gguf".into()),
            ("address", "https://a.example".into()),
            ("address", "https://a.example:99999/m.gguf".into()),
            ("address", "https://a.example; script-src */m.gguf".into()),
            ("file_bytes", "much".into()),
            ("sha256", "abc".into()),
            ("license", "MIT".into()),
        ];
        for (field, value) in wrong {
            assert!(
                entry(&|entry| entry[field] = value.clone()).is_err(),
                "{field}: {value}"
            );
        }
        for text in [
            "",
            "[]",
            r#"{"models": [], "redirects": ["http://a.example"]}"#,
        ] {
            assert!(Catalogue::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
