//! One message on a stream: its length, then its bytes.
//!
//! ```text
//! u32 BE length | postcard bytes            length ≤ the protocol's limit
//! ```
//! *Invariants*: a length above the limit is refused before a byte is read or memory taken; memory
//! grows with the bytes that arrive, not with those that were announced.
//!
//! *Not here*: what the bytes mean (`peer`).

use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

use crate::refusals::{Refusals, Refused};
use crate::rope::Rope;

/// Greatest chunk of an object in one message.
pub const CHUNK_BYTES_MAX: usize = 4 << 20;
/// Greatest message between members: a chunk and what names it.
pub const FRAME_BYTES_MAX: usize = CHUNK_BYTES_MAX + (64 << 10);
/// Greatest question of a stranger: a join request takes a few hundred bytes.
pub const JOIN_FRAME_BYTES_MAX: usize = 4 << 10;
/// Bytes that must have arrived before memory for the whole is laid by.
const FIRST_BYTES: usize = 16 << 10;
/// Bytes read at once.
const STEP_BYTES: usize = 64 << 10;

/// Reads and writes length-prefixed messages.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    request_max: usize,
    response_max: usize,
    /// Counts questions that are none: libp2p keeps those to itself.
    refusals: Arc<Refusals>,
}

impl Frames {
    /// Returns the frames of members among themselves.
    pub(super) fn members(refusals: &Arc<Refusals>) -> Self {
        Self {
            request_max: FRAME_BYTES_MAX,
            response_max: FRAME_BYTES_MAX,
            refusals: Arc::clone(refusals),
        }
    }

    /// Returns the frames of joining: a short question, an answer that tells of all members.
    pub(super) fn joining(refusals: &Arc<Refusals>) -> Self {
        Self {
            request_max: JOIN_FRAME_BYTES_MAX,
            response_max: FRAME_BYTES_MAX,
            refusals: Arc::clone(refusals),
        }
    }
}

impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Rope;
    type Response = Rope;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Rope>
    where
        T: AsyncRead + Unpin + Send,
    {
        let read = read_frame(io, self.request_max).await;
        if let Err(error) = &read
            && is_malformed(error)
        {
            self.refusals.note(Refused::Message, &"a peer", error);
        }
        read.map(Rope::from)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Rope>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.response_max).await.map(Rope::from)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Rope,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, frame, self.request_max).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Rope,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, frame, self.response_max).await
    }
}

async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = checked(u32::from_be_bytes(length) as usize, max)?;
    let mut frame = vec![0; length.min(FIRST_BYTES)];
    io.read_exact(&mut frame).await?;
    // Nothing of it is touched, so nothing taken, before it is written to.
    frame.reserve_exact(length - frame.len());
    while frame.len() < length {
        let read = frame.len();
        frame.resize(length.min(read + STEP_BYTES), 0);
        io.read_exact(&mut frame[read..]).await?;
    }
    Ok(frame)
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    frame: Rope,
    max: usize,
) -> io::Result<()> {
    let length = u32::try_from(checked(frame.length(), max)?).map_err(io::Error::other)?;
    io.write_all(&length.to_be_bytes()).await?;
    for piece in frame.pieces() {
        io.write_all(piece).await?;
    }
    io.close().await
}

/// Tells whether bytes were no message, rather than cut off by a network.
fn is_malformed(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}

fn checked(length: usize, max: usize) -> io::Result<usize> {
    if (1..=max).contains(&length) {
        return Ok(length);
    }
    let what = format!("a message of {length} bytes; 1 to {max} are allowed");
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    async fn read(bytes: &[u8], max: usize) -> io::Result<Vec<u8>> {
        read_frame(&mut Cursor::new(bytes.to_vec()), max).await
    }

    #[tokio::test]
    async fn a_frame_reads_back() {
        let mut io = Cursor::new(Vec::new());
        write_frame(&mut io, b"glebe".to_vec().into(), 5)
            .await
            .unwrap();
        assert_eq!(io.get_ref(), b"\0\0\0\x05glebe");
        assert_eq!(read(io.get_ref(), 5).await.unwrap(), b"glebe");
    }

    #[tokio::test]
    async fn wrong_lengths_are_refused() {
        let kind = |result: io::Result<Vec<u8>>| result.unwrap_err().kind();
        let announced = |length: u32| length.to_be_bytes().to_vec();
        for length in [0, 6, u32::MAX] {
            let refused = kind(read(&announced(length), 5).await);
            assert_eq!(refused, io::ErrorKind::InvalidData, "{length}");
        }
        let short = kind(read(b"\0\0\0\x05gleb", 5).await);
        assert_eq!(short, io::ErrorKind::UnexpectedEof);
        let mut io = Cursor::new(Vec::new());
        assert!(
            write_frame(&mut io, b"glebes".to_vec().into(), 5)
                .await
                .is_err()
        );
        assert!(io.get_ref().is_empty());
    }
}
