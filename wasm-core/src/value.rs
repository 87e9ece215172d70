//! Rust data as JavaScript sees it: plain objects, arrays, numbers.

use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

use crate::error::BrowserError;

/// Plain objects and `null`, as `JSON.parse` would make them.
pub fn to_js(value: &impl Serialize) -> Result<JsValue, BrowserError> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| BrowserError::Browser {
            detail: error.to_string(),
        })
}

/// Options that a page gave.
pub fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, BrowserError> {
    serde_wasm_bindgen::from_value(value).map_err(|error| BrowserError::Options {
        detail: error.to_string(),
    })
}
