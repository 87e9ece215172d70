//! What pages may ask for.

mod extract;
mod files;
mod policy;
mod rooms;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::{
    catalogue::Catalogue,
    counts::Counts,
    models::{Shelf, Traffic},
    refusal::Refusal,
    rooms::Rooms,
    visitors::Visitors,
};

/// Everything requests share.
#[derive(Clone)]
pub struct App {
    /// Rooms.
    pub rooms: Arc<Rooms>,
    /// What each address has.
    pub visitors: Arc<Visitors>,
    /// Models.
    pub shelf: Arc<Shelf>,
    /// Models on other sites.
    pub catalogue: Arc<Catalogue>,
    /// What happened.
    pub counts: Arc<Counts>,
    /// Bytes sent to clients that gave a name.
    pub traffic: Arc<Traffic>,
}

/// Where browsers say that a page broke its content security policy.
pub const POLICY_REPORTS: &str = "/api/policy-reports";

/// Rooms and models.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/api/rooms", post(rooms::open))
        .route("/api/rooms/{room}/seats", post(rooms::take_seat))
        .route("/api/rooms/{room}/messages", post(rooms::send))
        .route("/api/rooms/{room}/events", get(rooms::events))
        .route("/api/models", get(files::models))
        .route("/api/catalogue", get(files::catalogue))
        .route("/api/traffic", get(files::traffic))
        .route(POLICY_REPORTS, get(policy::violations).post(policy::report))
        .route("/models/{id}/file", get(files::file))
        .route("/models/{id}/manifest", get(files::manifest))
        .method_not_allowed_fallback(async || Refusal::Method)
        // Bodies have passed the gate, which bounds them.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}
