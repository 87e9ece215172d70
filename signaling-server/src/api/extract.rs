//! Requests read by axum, refused in our words.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::App;
use crate::refusal::Refusal;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let Json(body) = Json::from_request(request, app).await.map_err(|refusal| {
            if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Refusal::MessageTooLarge {
                    most_bytes: app.rooms.limits().message_bytes,
                }
            } else {
                Refusal::Malformed {
                    detail: refusal.body_text(),
                }
            }
        })?;
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
            .map_err(|refusal| Refusal::Malformed {
                detail: refusal.body_text(),
            })?;
        Ok(Self(query))
    }
}
