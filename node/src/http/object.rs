//! Taking in an object.
//!
//! *Invariants*: every file is checked against the header as it arrives; no more bytes than a named
//! number are held in memory at a time, or those of one greater object; the others wait.
//!
//! *Not here*: keeping it (`conduit`).

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures::StreamExt;
use wire::bundle::{BundleHeader, Decoder, Piece};
use wire::fault::{Fault, FaultKind};
use wire::object::{PutAck, PutParams};

use super::reply::{Answer, Asked, json};
use super::{App, PUT_MEBIBYTES_MAX};
use crate::store::{Object, ObjectFile, ObjectKey};

pub(super) async fn put(
    State(app): State<App>,
    Asked(params): Asked<PutParams>,
    headers: HeaderMap,
    body: HttpBody,
) -> Answer<PutAck> {
    let stopping = |_| Fault::new(FaultKind::Unreachable, "the node is stopping");
    let puts = Arc::clone(&app.puts);
    let share = puts.acquire_many_owned(mebibytes(&headers));
    let share = share.await.map_err(stopping)?;
    let object = read(body).await?;
    json(app.conduit.put_to_its_end(object, params, share).await)
}

/// Returns the mebibytes that a body takes; without a length it may take all there are.
fn mebibytes(headers: &HeaderMap) -> u32 {
    let length = headers.get(header::CONTENT_LENGTH);
    let bytes = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let whole = bytes.map(|b| b.div_ceil(1 << 20).max(1));
    let whole = whole.and_then(|m| u32::try_from(m).ok());
    whole.map_or(PUT_MEBIBYTES_MAX, |m| m.min(PUT_MEBIBYTES_MAX))
}

/// Reads a bundle into memory.
async fn read(body: HttpBody) -> Result<Object, Fault> {
    let mut decoder = Decoder::new();
    let mut header: Option<BundleHeader> = None;
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|e| cut_off(&e))?;
        for piece in decoder.push(bytes).map_err(|e| wrong(&e))? {
            match piece {
                Piece::Header(found) => {
                    files = vec![Vec::new(); found.files.len()];
                    header = Some(found);
                }
                Piece::Bytes(file, bytes) => {
                    if let Some(file) = files.get_mut(file) {
                        file.extend_from_slice(&bytes);
                    }
                }
                Piece::FileEnd(_) => {}
            }
        }
    }
    decoder.finish().map_err(|e| wrong(&e))?;
    let header = header.ok_or_else(|| Fault::new(FaultKind::Data, "the body is empty"))?;
    let named = header.files.into_iter().zip(files);
    Ok(Object {
        key: ObjectKey::new(header.kind, header.id),
        placement_key: header.placement_key,
        files: named
            .map(|(entry, bytes)| ObjectFile {
                name: entry.name,
                bytes: Bytes::from(bytes),
            })
            .collect(),
    })
}

fn wrong(error: &wire::bundle::BundleError) -> Fault {
    Fault::new(FaultKind::Data, "the object cannot be read").because(error.to_string())
}

fn cut_off(error: &axum::Error) -> Fault {
    Fault::new(FaultKind::Data, "the object was cut off").because(error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_object_waits_for_as_much_memory_as_it_takes() {
        let of = |length: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            mebibytes(&headers)
        };
        assert_eq!(of("0"), 1);
        assert_eq!(of("1048577"), 2);
        assert_eq!(of("99999999999999"), PUT_MEBIBYTES_MAX);
        assert_eq!(mebibytes(&HeaderMap::new()), PUT_MEBIBYTES_MAX);
    }
}
