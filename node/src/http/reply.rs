//! Requests taken apart and answers put together, faults included.
//!
//! *Invariants*: what cannot be understood is a fault of kind `usage` that says what was wrong.
//!
//! *Not here*: the endpoints.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::fault::{Fault, FaultKind, MEDIA_TYPE};

/// An error as an answer.
#[derive(Debug)]
pub(super) struct Failed(Fault);

/// What an endpoint answers: JSON, or a fault.
pub(super) type Answer<T> = Result<Json<T>, Failed>;

/// The query string of a request.
pub(super) struct Asked<T>(pub(super) T);

/// The JSON body of a request.
pub(super) struct Body<T>(pub(super) T);

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.0.kind == FaultKind::Internal {
            tracing::error!(fault = ?self.0, "a request failed");
        }
        let mut headers = HeaderMap::new();
        let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
        say(header::CONTENT_TYPE, MEDIA_TYPE);
        match self.0.kind {
            FaultKind::Unidentified => say(header::WWW_AUTHENTICATE, "Bearer"),
            FaultKind::Busy => say(header::RETRY_AFTER, "2"),
            _ => None,
        };
        (status, headers, Json(&self.0).into_response().into_body()).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        let wrong =
            |e: QueryRejection| usage("the parameters cannot be understood").because(e.body_text());
        found
            .map(|Query(asked)| Self(asked))
            .map_err(|e| Failed(wrong(e)))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let found = Json::<T>::from_request(request, state).await;
        let wrong =
            |e: JsonRejection| usage("the body cannot be understood").because(e.body_text());
        found
            .map(|Json(body)| Self(body))
            .map_err(|e| Failed(wrong(e)))
    }
}

/// Answers with a value, or a fault.
pub(super) fn json<T: Serialize>(answer: Result<T, Fault>) -> Answer<T> {
    answer.map(Json).map_err(Failed)
}

/// Answers 204, or a fault.
pub(super) fn nothing(answer: Result<(), Fault>) -> Result<StatusCode, Failed> {
    answer.map(|()| StatusCode::NO_CONTENT).map_err(Failed)
}

/// Answers to a path that is none.
pub(super) async fn no_such_path(uri: Uri) -> Failed {
    let what = format!("there is nothing at {}", uri.path());
    Failed(Fault::new(FaultKind::Nothing, what))
}

/// Answers to a method that a path does not have.
pub(super) fn no_such_method(uri: &Uri) -> Failed {
    Failed(usage(&format!("{} does not know this method", uri.path())))
}

pub(super) fn usage(what: &str) -> Fault {
    Fault::new(FaultKind::Usage, what)
}
