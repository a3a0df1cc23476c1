//! Files of splits, models and modules, whole or in part.
//!
//! *Invariants*: bytes are verified before the first of them is sent; the entity tag is their
//! BLAKE3, so a cache never serves another content under it; no more of them than a named number
//! are held in memory at a time, however slowly they are read.
//!
//! *Not here*: fetching a file from an owner, and the memory for it (`scatter`).

use std::ops::Range;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use wire::bundle::Kind;
use wire::module::MODULE_FILE;
use wire::params::{AssetParams, ModelFileParams, ModuleParams};

use super::App;
use super::reply::{Asked, Failed};
use crate::scatter::Fetched;
use crate::store::ObjectKey;

/// What a range header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Everything: no range, or one that is not understood (RFC 9110 §14.2).
    Whole,
    /// These bytes.
    Bytes(Range<usize>),
    /// None that the file has.
    Outside,
}

pub(super) async fn split_asset(
    State(app): State<App>,
    Asked(params): Asked<AssetParams>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let key = ObjectKey::new(Kind::Split, params.id);
    let found = app.conduit.file(&key, &params.asset).await?;
    Ok(file(found, &params.asset, &headers))
}

pub(super) async fn model_file(
    State(app): State<App>,
    Asked(params): Asked<ModelFileParams>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let key = ObjectKey::new(Kind::Model, format!("{}/{}", params.run, params.geocode));
    let found = app.conduit.file(&key, &params.name).await?;
    Ok(file(found, &params.name, &headers))
}

pub(super) async fn module(
    State(app): State<App>,
    Asked(params): Asked<ModuleParams>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let key = ObjectKey::new(Kind::Module, params.blake3);
    let found = app.conduit.file(&key, MODULE_FILE).await?;
    Ok(file(found, MODULE_FILE, &headers))
}

/// Answers with a file as far as its reader wants it.
fn file(found: Fetched, name: &str, asked: &HeaderMap) -> Response {
    let length = found.bytes.len();
    let tag = format!("\"{}\"", found.blake3);
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(name)),
    );
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    let text = |name| asked.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let known = text(header::IF_NONE_MATCH);
    if known.is_some_and(|k| k.trim() == "*" || k.split(',').any(|t| t.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let same = text(header::IF_RANGE).is_none_or(|t| t == tag);
    let range = text(header::RANGE).filter(|_| same);
    match part(range, length) {
        Part::Whole => (headers, kept(found, 0..length)).into_response(),
        Part::Bytes(range) => {
            let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            let content_range = [(header::CONTENT_RANGE, text)];
            let status = StatusCode::PARTIAL_CONTENT;
            (status, headers, content_range, kept(found, range)).into_response()
        }
        Part::Outside => {
            let content_range = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, content_range).into_response()
        }
    }
}

/// Returns part of a file; its room is given back with the last of these bytes.
fn kept(found: Fetched, range: Range<usize>) -> Bytes {
    let bytes = if range.len() == found.bytes.len() {
        found.bytes
    } else {
        // A slice would keep the whole in memory.
        Bytes::copy_from_slice(&found.bytes[range])
    };
    match found.share {
        Some(share) => share.seat(bytes),
        None => bytes,
    }
}

/// Reads a range header with a single range.
fn part(range: Option<&str>, length: usize) -> Part {
    let Some((first, last)) = range
        .and_then(|r| r.strip_prefix("bytes="))
        .and_then(|r| r.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Some(first), None) if last.trim().is_empty() => first..length,
        (None, Some(count)) if first.trim().is_empty() => length.saturating_sub(count)..length,
        _ => return Part::Whole,
    };
    if range.is_empty() {
        Part::Outside
    } else {
        Part::Bytes(range)
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "tif")) => "image/tiff; application=geotiff; profile=cloud-optimized",
        Some((_, "json")) => "application/json",
        Some((_, "jsonl")) => "application/x-ndjson",
        Some((_, "md")) => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let check =
            |range: &str, wanted: Part| assert_eq!(part(Some(range), 10), wanted, "{range}");
        check("bytes=0-3", Part::Bytes(0..4));
        check("bytes=3-", Part::Bytes(3..10));
        check("bytes=-4", Part::Bytes(6..10));
        check("bytes=-40", Part::Bytes(0..10));
        check("bytes=5-99", Part::Bytes(5..10));
        check("bytes=10-", Part::Outside);
        check("bytes=-0", Part::Outside);
        check("bytes=4-3", Part::Whole);
        check("bytes=0-1,3-4", Part::Whole);
        check("lines=0-1", Part::Whole);
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-"), 0), Part::Outside);
    }
}
