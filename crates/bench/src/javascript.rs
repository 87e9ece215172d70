//! The same in a JavaScript engine.

use js_sys::{Function, JsString};
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

/// Measures the CPU executor on the model of a header; `now_ms` is a clock. Returns the report as JSON or as a table.
///
/// # Errors
/// No header of a model that can run.
#[wasm_bindgen]
pub async fn measure_cpu(
    header: Vec<u8>,
    now_ms: Function,
    json: bool,
) -> Result<JsString, JsError> {
    let graph = crate::graph(&header)?;
    let now_ms = || {
        let now = now_ms.call0(&wasm_bindgen::JsValue::NULL);
        now.ok().and_then(|now| now.as_f64()).unwrap_or(f64::NAN)
    };
    let report = crate::measure_cpu(&graph, now_ms).await?;
    let text = match json {
        true => serde_json::to_string(&report)?,
        false => report.to_string(),
    };
    Ok(text.into())
}
