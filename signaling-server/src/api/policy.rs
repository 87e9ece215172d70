//! Reports of broken content security policies: counted, and the broken directive logged; the rest of a report may say where somebody was.

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use serde::Deserialize;

use super::App;
use crate::refusal::Refusal;

/// Longest name of a directive.
const MAX_DIRECTIVE_BYTES: usize = 32;

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "csp-report")]
    report: Violation,
}

#[derive(Deserialize)]
struct Violation {
    #[serde(rename = "effective-directive", default)]
    directive: String,
}

pub async fn report(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refusal> {
    let Report { report } = serde_json::from_slice(&body).map_err(|error| Refusal::Malformed {
        detail: error.to_string(),
    })?;
    app.counts.violation();
    let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if report.directive.len() <= MAX_DIRECTIVE_BYTES && report.directive.bytes().all(known) {
        tracing::warn!(directive = report.directive, "a page broke its policy");
    }
    Ok(StatusCode::NO_CONTENT)
}

pub async fn violations(State(app): State<App>) -> Json<u64> {
    Json(app.counts.violations())
}
