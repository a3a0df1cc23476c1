//! Sending a request and reading a bounded answer.
//!
//! *Invariants*: an unsuccessful status is always a fault; bodies in memory are bounded.
//!
//! *Not here*: answers that are read as they arrive (`stream`).

use bytes::BytesMut;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::failure::{cut_off, garbled, refused, transport};
use super::{Client, Fault};
use crate::run::RunView;

/// Greatest JSON answer: a verification or ledger list of 10^5 scenes stays below it.
const JSON_BYTES_MAX: usize = 256 << 20;
/// Greatest view of a run: one of 444,000 cells, of each of whose jobs all is told, stays below it.
const RUN_BYTES_MAX: usize = 1 << 30;

impl Client {
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, self.address.url(path));
        if let Some(token) = &self.options.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some(timeout) = self.options.timeout {
            request = request.timeout(timeout);
        }
        request
    }

    /// Sends a request; an unsuccessful status becomes a fault.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let response = self.answer(request).await?;
        self.good(response).await
    }

    /// Sends a request and returns whatever is answered.
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let response = request.send().await;
        response.map_err(|e| transport(&e, &self.address))
    }

    /// Makes a fault of an unsuccessful status.
    pub(super) async fn good(&self, response: Response) -> Result<Response, Fault> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response, JSON_BYTES_MAX).await?;
        Err(refused(status, &body, &self.address))
    }

    /// Reads a body that does not matter, bounded.
    pub(super) async fn skip(&self, response: Response) -> Result<(), Fault> {
        self.body(response, JSON_BYTES_MAX).await.map(drop)
    }

    /// Reads a whole body of at most so many bytes.
    async fn body(&self, mut response: Response, bytes_max: usize) -> Result<BytesMut, Fault> {
        let mut body = BytesMut::new();
        let failed = |e| transport(&e, &self.address);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > bytes_max {
                let reason = format!("it is longer than {bytes_max} bytes");
                return Err(cut_off(&self.address, &reason));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Sends a request and parses its JSON answer.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Fault> {
        self.within(request, JSON_BYTES_MAX).await
    }

    /// Sends a request for a run with its jobs and parses the answer.
    pub(super) async fn run_view(&self, request: RequestBuilder) -> Result<RunView, Fault> {
        self.within(request, RUN_BYTES_MAX).await
    }

    async fn within<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<T, Fault> {
        let response = self.send(request).await?;
        let body = self.body(response, bytes_max).await?;
        serde_json::from_slice(&body).map_err(|e| garbled(&self.address, &e))
    }
}

#[cfg(test)]
mod tests;
