//! What happened, in numbers: nothing that says who, where or what.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use crate::refusal::Code;

/// What happened since the last report.
#[derive(Default)]
pub struct Counts {
    report: Mutex<Report>,
    violations: AtomicU64,
}

/// What a report says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Requests answered.
    pub requests: u64,
    /// How many of them were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Times a browser said that a page broke its content security policy.
    pub violations: u64,
}

impl Counts {
    /// Since the last time it was asked.
    pub fn take(&self) -> Report {
        std::mem::take(&mut *self.lock())
    }

    /// A browser says that a page broke its content security policy.
    pub fn violation(&self) {
        self.lock().violations += 1;
        self.violations.fetch_add(1, Ordering::Relaxed);
    }

    /// All of those since the start.
    pub fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts an answer. The log gets the pattern of its address: the address itself may name a room.
pub async fn counted(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let code = response.extensions().get().map(|Code(code)| *code);
    {
        let mut report = counts.lock();
        report.requests += 1;
        if let Some(code) = code {
            *report.refused.entry(code).or_default() += 1;
        }
    }
    let route = route.as_ref().map_or("page", MatchedPath::as_str);
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis());
    if response.status().is_server_error() {
        tracing::warn!(%method, route, status, code, ms, "a request failed");
    } else {
        tracing::debug!(%method, route, status, code, ms, "a request");
    }
    response
}
