//! Files from a position on, of which the beginning is there already.
//!
//! *Invariants*: what is sent from a position on is of the content that the beginning is of, or
//! else the whole file is sent.
//!
//! *Not here*: keeping the beginning, checking the whole (cli).

use futures::StreamExt;
use reqwest::{RequestBuilder, StatusCode, header};

use super::failure::cut_off;
use super::{ByteStream, Client, Fault, stream};
use crate::params::{AssetParams, ModelFileParams};

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest<'a> {
    /// Bytes that are there already.
    pub offset: u64,
    /// BLAKE3 (hex) of the whole file.
    pub blake3: &'a str,
}

/// What is sent of a file.
pub struct FilePart {
    /// Position of the first byte: what was asked for, or 0.
    pub offset: u64,
    /// The bytes from there to the end, as they arrive.
    pub bytes: ByteStream,
}

impl Client {
    /// Returns the rest of one file of a split as it arrives, or the whole of it.
    pub async fn asset_rest(&self, asset: &AssetParams, rest: Rest<'_>) -> Result<FilePart, Fault> {
        self.part(self.get("/v1/split/asset").query(asset), rest)
            .await
    }

    /// Returns the rest of one file of a model as it arrives, or the whole of it.
    pub async fn model_file_rest(
        &self,
        file: &ModelFileParams,
        rest: Rest<'_>,
    ) -> Result<FilePart, Fault> {
        self.part(self.get("/v1/model/file").query(file), rest)
            .await
    }

    /// Asks for a file from a position on (RFC 9110 §14.2, §13.1.5), and for all of it where there
    /// is nothing behind that position.
    async fn part(&self, request: RequestBuilder, rest: Rest<'_>) -> Result<FilePart, Fault> {
        let whole = request.try_clone();
        let request = match rest.offset {
            0 => request,
            offset => request
                .header(header::RANGE, format!("bytes={offset}-"))
                .header(header::IF_RANGE, format!("\"{}\"", rest.blake3)),
        };
        let mut response = self.answer(request).await?;
        if let (StatusCode::RANGE_NOT_SATISFIABLE, Some(whole)) = (response.status(), whole) {
            response = self.answer(whole).await?;
        }
        let response = self.good(response).await?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let range = response.headers().get(header::CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok());
        let begins = format!("bytes {}-", rest.offset);
        if partial && !range.is_some_and(|range| range.starts_with(&begins)) {
            return Err(cut_off(&self.address, "it is another part of the file"));
        }
        Ok(FilePart {
            offset: if partial { rest.offset } else { 0 },
            bytes: stream::body(response, self.address.clone()).boxed(),
        })
    }
}

impl std::fmt::Debug for FilePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &mut f.debug_struct("FilePart");
        shown.field("offset", &self.offset).finish_non_exhaustive()
    }
}
