//! Answers that are read as they arrive.
//!
//! *Invariants*: nothing is buffered but the bytes of an unfinished line; a search that stops
//! before its `end` line yields a fault, and nothing follows a fault or an `end`.
//!
//! *Not here*: sending the request (`send`).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use futures::stream::{self, BoxStream};
use reqwest::Response;

use super::address::Address;
use super::failure::{cut_off, garbled, transport};
use crate::compose::{ComposeHeader, ComposeMessage};
use crate::fault::Fault;
use crate::ndjson::LineReader;
use crate::search::SearchLine;

/// The lines of a search, `end` last.
pub type SearchStream = BoxStream<'static, Result<SearchLine, Fault>>;
/// The messages of a composition, the end last.
pub type ComposeStream = BoxStream<'static, Result<ComposeMessage, Fault>>;
/// The bytes of a file.
pub type ByteStream = BoxStream<'static, Result<Bytes, Fault>>;

/// Returns a body's bytes as they arrive.
pub(super) fn body(
    response: Response,
    address: Address,
) -> impl Stream<Item = Result<Bytes, Fault>> + Send {
    stream::try_unfold((response, address), |(mut response, address)| async move {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|e| transport(&e, &address))?;
        Ok(chunk.map(|bytes| (bytes, (response, address))))
    })
}

/// Compositions on their way.
struct Messages {
    response: Response,
    address: Address,
    buffer: BytesMut,
    ended: bool,
}

/// Returns the messages of a composition as they arrive.
pub(super) fn compositions(
    response: Response,
    address: Address,
) -> impl Stream<Item = Result<ComposeMessage, Fault>> + Send {
    let messages = Messages {
        response,
        address,
        buffer: BytesMut::new(),
        ended: false,
    };
    stream::try_unfold(messages, |mut messages| async move {
        let message = messages.next().await?;
        Ok(message.map(|message| (message, messages)))
    })
}

impl Messages {
    async fn next(&mut self) -> Result<Option<ComposeMessage>, Fault> {
        if self.ended {
            return Ok(None);
        }
        loop {
            if let Some(message) = ComposeMessage::take(&mut self.buffer)? {
                self.ended = matches!(message.header, ComposeHeader::End(_));
                return Ok(Some(message));
            }
            let chunk = self.response.chunk().await;
            let chunk = chunk.map_err(|e| transport(&e, &self.address))?;
            let Some(chunk) = chunk else {
                return Err(cut_off(&self.address, "its last message is missing"));
            };
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

/// A search on its way.
struct Lines {
    response: Response,
    address: Address,
    reader: LineReader,
    parsed: VecDeque<SearchLine>,
    ended: bool,
}

/// Returns the lines of a search as they arrive.
pub(super) fn search_lines(
    response: Response,
    address: Address,
) -> impl Stream<Item = Result<SearchLine, Fault>> + Send {
    let lines = Lines {
        response,
        address,
        reader: LineReader::default(),
        parsed: VecDeque::new(),
        ended: false,
    };
    stream::try_unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Ok(line.map(|line| (line, lines)))
    })
}

impl Lines {
    async fn next(&mut self) -> Result<Option<SearchLine>, Fault> {
        if self.ended {
            return Ok(None);
        }
        while self.parsed.is_empty() {
            self.read().await?;
        }
        let line = self.parsed.pop_front();
        self.ended = matches!(line, Some(SearchLine::End(_)));
        Ok(line)
    }

    /// Reads on until bytes arrive; the end of the body is too early here, whatever it holds.
    async fn read(&mut self) -> Result<(), Fault> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|e| transport(&e, &self.address))?;
        let Some(chunk) = chunk else {
            return Err(cut_off(&self.address, "its last line is missing"));
        };
        let lines = self.reader.push(&chunk);
        self.parsed = lines.map_err(|e| garbled(&self.address, &e))?.into();
        Ok(())
    }
}
