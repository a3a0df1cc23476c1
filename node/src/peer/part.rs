//! Parts of objects and files: the greatest of questions and of answers, written and read without a
//! copy of their payload.
//!
//! ```text
//! 04 ‖ transfer ‖ head ‖ length ‖ payload ‖ purpose        a question, in postcard as any other
//! 07 ‖ length ‖ payload                                    an answer, the same
//! ```
//! *Invariants*: the bytes are those that postcard alone would write; a payload that is kept keeps
//! at most `KEPT_WITH_MAX` bytes of its frame beside it.
//!
//! *Not here*: cutting objects into parts (`replicate::send`), joining them (`answer::transfer`).

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};

use super::{MessageError, Request, Response, decode, encode};
use crate::layout::Stamp;
use crate::meters::Purpose;
use crate::rope::Rope;
use crate::store::ObjectKey;

/// Number of `Request::Put` among the questions.
const PUT: u8 = 4;
/// Number of `Response::Bytes` among the answers.
const BYTES: u8 = 7;
/// Bytes of a frame that a shared payload may keep in memory beside it: heads are far shorter.
const KEPT_WITH_MAX: usize = 64 << 10;

/// A part as it is written: `PUT`, transfer, head, payload, purpose.
type Written<'a> = (u8, u64, Option<Head>, &'a [u8], Purpose);

/// Part of an object to keep; parts come in order, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Tells transfers of one sender apart.
    pub transfer: u64,
    /// What is kept, in the first part.
    pub head: Option<Head>,
    /// Bytes of the files, one after the other.
    pub bytes: Rope,
    /// Why it is sent.
    pub purpose: Purpose,
}

/// What a transferred object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its name.
    pub key: ObjectKey,
    /// What is hashed to place it.
    pub placement_key: PlacementKey,
    /// Name and length of its files, in order.
    pub files: Vec<(String, u64)>,
    /// The revision that it is, or a first put where what was there first stays.
    pub revision: Option<u32>,
    /// Whether the receiver stands in for an owner and must be asked for the slot from now on.
    pub standin: bool,
    /// The newest layout that the sender knew when the put began; none if it is a repair.
    pub layout: Option<Stamp>,
}

/// Writes a question; the payload of a part is shared with it.
pub(crate) fn encode_request(request: &Request) -> Rope {
    let Request::Put(part) = request else {
        return encode(request).into();
    };
    let length = part.bytes.length() as u64;
    let mut frame = Rope::from(encode(&(PUT, part.transfer, &part.head, length)));
    frame.append(part.bytes.clone());
    frame.append(encode(&part.purpose).into());
    frame
}

/// Reads a question; the payload of a part is shared with its bytes.
pub(crate) fn decode_request(frame: &Bytes) -> Result<Request, MessageError> {
    if frame.first() != Some(&PUT) {
        return decode(frame);
    }
    let (_, transfer, head, payload, purpose): Written<'_> = decode(frame)?;
    Ok(Request::Put(Part {
        transfer,
        head,
        bytes: shared(frame, payload).into(),
        purpose,
    }))
}

/// Writes an answer; the bytes of a file are shared with it.
pub(crate) fn encode_response(response: &Response) -> Rope {
    let Response::Bytes(bytes) = response else {
        return encode(response).into();
    };
    let mut frame = Rope::from(encode(&(BYTES, bytes.length() as u64)));
    frame.append(bytes.clone());
    frame
}

/// Reads an answer; the bytes of a file are shared with its own.
pub(crate) fn decode_response(frame: &Bytes) -> Result<Response, MessageError> {
    if frame.first() != Some(&BYTES) {
        return decode(frame);
    }
    let (_, payload): (u8, &[u8]) = decode(frame)?;
    Ok(Response::Bytes(shared(frame, payload).into()))
}

/// Returns a payload as a part of its frame, unless it would keep much else in memory.
fn shared(frame: &Bytes, payload: &[u8]) -> Bytes {
    if frame.len() - payload.len() <= KEPT_WITH_MAX {
        frame.slice_ref(payload)
    } else {
        Bytes::copy_from_slice(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(head: Option<Head>, pieces: &[&[u8]]) -> Part {
        Part {
            transfer: 300,
            head,
            bytes: pieces.iter().map(|p| Bytes::copy_from_slice(p)).collect(),
            purpose: Purpose::Model,
        }
    }

    fn head(name: String) -> Head {
        Head {
            key: ObjectKey::new(wire::bundle::Kind::Run, "r"),
            placement_key: PlacementKey::named("run", "r"),
            files: vec![(name, 300)],
            revision: Some(2),
            standin: false,
            layout: None,
        }
    }

    #[test]
    fn a_part_is_written_as_postcard_would_and_reads_back() {
        let long = vec![7; 70_000];
        for payload in [&[b"ab".as_ref(), b"", b"c"][..], &[], &[&long, b"x"]] {
            for head in [None, Some(head("a".to_owned()))] {
                let request = Request::Put(part(head, payload));
                let frame = encode_request(&request).joined();
                assert_eq!(frame, encode(&request));
                assert_eq!(decode_request(&frame), Ok(request.clone()));
                assert_eq!(decode::<Request>(&frame), Ok(request));
                assert!(decode_request(&frame.slice(..frame.len() - 1)).is_err());
                let longer = Bytes::from([&frame[..], &[0]].concat());
                assert!(decode_request(&longer).is_err());
            }
        }
    }

    #[test]
    fn bytes_of_a_file_are_written_as_postcard_would_and_read_back_in_place() {
        let long = vec![7; 70_000];
        for payload in [&[b"ab".as_ref(), b"c"][..], &[], &[&long]] {
            let pieces = payload.iter().map(|p| Bytes::copy_from_slice(p));
            let response = Response::Bytes(pieces.collect());
            let frame = encode_response(&response).joined();
            assert_eq!(frame, encode(&response));
            assert_eq!(decode::<Response>(&frame), Ok(response.clone()));
            let read = decode_response(&frame);
            assert_eq!(read, Ok(response));
            if let Ok(Response::Bytes(read)) = read
                && read.length() > 0
            {
                assert!(frame.as_ptr_range().contains(&read.joined().as_ptr()));
            }
            assert!(decode_response(&frame.slice(..frame.len() - 1)).is_err());
            let longer = Bytes::from([&frame[..], &[0]].concat());
            assert!(decode_response(&longer).is_err());
        }
    }

    #[test]
    fn a_payload_is_shared_unless_it_would_keep_much_else_in_memory() {
        let shares = |name: String| {
            let request = Request::Put(part(Some(head(name)), &[b"payload"]));
            let frame = encode_request(&request).joined();
            let Ok(Request::Put(read)) = decode_request(&frame) else {
                return None;
            };
            let within = frame.as_ptr_range();
            Some(within.contains(&read.bytes.joined().as_ptr()))
        };
        assert_eq!(shares("a".to_owned()), Some(true));
        assert_eq!(shares("a".repeat(KEPT_WITH_MAX)), Some(false));
    }

    #[test]
    fn pieces_are_sent_as_they_are() {
        let part = part(None, &[b"one", b"two"]);
        let sent = encode_request(&Request::Put(part.clone()));
        let at = |rope: &Rope, i: usize| rope.pieces().get(i).map(|p| p.as_ptr());
        assert_eq!(at(&sent, 1), at(&part.bytes, 0));
        assert_eq!(at(&sent, 2), at(&part.bytes, 1));
    }
}
