//! Requests read by axum, refused in our words.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{header::AUTHORIZATION, request::Parts},
};
use serde::de::DeserializeOwned;

use super::App;
use crate::refusal::Refusal;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let Json(body) = Json::from_request(request, app)
            .await
            .map_err(|refusal| malformed(refusal.body_text()))?;
        Ok(Self(body))
    }
}

/// The query of the address.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let Query(query) = Query::from_request_parts(parts, app)
            .await
            .map_err(|refusal| malformed(refusal.body_text()))?;
        Ok(Self(query))
    }
}

/// Somebody who says that a seat is theirs; the room checks the key.
pub struct Owner {
    /// Name of the seat.
    pub seat: String,
    /// Its key.
    pub key: String,
}

impl FromRequestParts<App> for Owner {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION);
        let text = header.and_then(|header| header.to_str().ok());
        let proof = text.and_then(|text| text.strip_prefix("Bearer ")?.split_once('.'));
        let (seat, key) =
            proof.ok_or_else(|| malformed("no seat in the header authorization".to_owned()))?;
        Ok(Self {
            seat: seat.to_owned(),
            key: key.to_owned(),
        })
    }
}

const fn malformed(detail: String) -> Refusal {
    Refusal::Malformed { detail }
}
