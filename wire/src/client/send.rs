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

/// Greatest JSON answer: a verification or ledger list of 10^5 scenes stays below it.
const JSON_BYTES_MAX: usize = 256 << 20;

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
        let response = request.send().await;
        let response = response.map_err(|e| transport(&e, &self.address))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(refused(status, &body, &self.address))
    }

    /// Reads a whole body, bounded.
    pub(super) async fn body(&self, mut response: Response) -> Result<BytesMut, Fault> {
        let mut body = BytesMut::new();
        let failed = |e| transport(&e, &self.address);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > JSON_BYTES_MAX {
                let reason = format!("it is longer than {JSON_BYTES_MAX} bytes");
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
        let response = self.send(request).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|e| garbled(&self.address, &e))
    }
}
