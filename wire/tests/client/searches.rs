//! A search is read as it arrives, and one that stops early is no answer.

use futures::StreamExt;
use tokio::sync::mpsc;
use wire::client::SearchStream;
use wire::fault::{Fault, FaultKind};
use wire::ndjson;
use wire::search::{SearchEnd, SearchLine, SearchRequest};

use crate::server::{Served, answer, serve, serve_slowly};

/// An answer that ends when the connection does.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n";

fn hit() -> SearchLine {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/search-line-hit.json"
    );
    let text = std::fs::read_to_string(path).expect("the golden line is there");
    serde_json::from_str(&text).expect("the golden line is one")
}

fn end() -> SearchLine {
    SearchLine::End(SearchEnd {
        hits: 1,
        complete: true,
        ..SearchEnd::default()
    })
}

fn line(value: &SearchLine) -> Vec<u8> {
    ndjson::line(value).expect("lines are JSON")
}

async fn search(served: &Served) -> SearchStream {
    let request = SearchRequest::default();
    served
        .client
        .search(&request)
        .await
        .expect("an answer begins")
}

async fn faults(body: &[u8]) -> (usize, Fault) {
    let served = serve(answer("200 OK", ndjson::MEDIA_TYPE, body)).await;
    let all: Vec<_> = search(&served).await.collect().await;
    let lines = all.len() - 1;
    let last = all
        .into_iter()
        .next_back()
        .expect("a fault ends the stream");
    (lines, last.expect_err("the last item is a fault"))
}

#[tokio::test]
async fn lines_are_given_out_while_the_node_still_looks() {
    let (more, received) = mpsc::channel(1);
    let served = serve_slowly(HEAD.to_vec(), received).await;
    let mut lines = search(&served).await;
    assert_eq!(served.asked().line, "POST /v1/search");
    let whole = line(&hit());
    let (first, rest) = whole.split_at(100);
    more.send(first.to_vec()).await.unwrap();
    more.send(rest.to_vec()).await.unwrap();
    // Nothing else is sent until this line has come through.
    assert_eq!(lines.next().await, Some(Ok(hit())));
    more.send(line(&end())).await.unwrap();
    assert_eq!(lines.next().await, Some(Ok(end())));
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn what_follows_the_end_is_not_read() {
    let body = [line(&end()), line(&hit())].concat();
    let served = serve(answer("200 OK", ndjson::MEDIA_TYPE, &body)).await;
    let all: Vec<_> = search(&served).await.collect().await;
    assert_eq!(all, [Ok(end())]);
}

#[tokio::test]
async fn an_answer_without_its_end_is_cut_off_after_its_hits() {
    let half = line(&end());
    let body = [line(&hit()), half[..half.len() / 2].to_vec()].concat();
    let (lines, fault) = faults(&body).await;
    assert_eq!(
        (lines, fault.kind),
        (1, FaultKind::Unreachable),
        "{fault:?}"
    );
    let (lines, fault) = faults(b"").await;
    assert_eq!(
        (lines, fault.kind),
        (0, FaultKind::Unreachable),
        "{fault:?}"
    );
}

#[tokio::test]
async fn an_answer_shorter_than_it_said_is_cut_off() {
    let mut bytes = answer("200 OK", ndjson::MEDIA_TYPE, &line(&hit()));
    bytes.truncate(bytes.len() - 10);
    let served = serve(bytes).await;
    let all: Vec<_> = search(&served).await.collect().await;
    let kinds: Vec<_> = all
        .iter()
        .map(|item| item.as_ref().map_err(|f| f.kind))
        .collect();
    assert_eq!(kinds, [Err(FaultKind::Unreachable)]);
}

#[tokio::test]
async fn a_line_without_end_is_refused_at_the_limit() {
    let endless = vec![b' '; ndjson::LINE_BYTES_MAX + 1];
    let (_, fault) = faults(&endless).await;
    assert_eq!(fault.kind, FaultKind::Internal, "{fault:?}");
    assert!(fault.because[0].contains("longer than"), "{fault:?}");
    let (_, fault) = faults(b"no json\n").await;
    assert_eq!(fault.kind, FaultKind::Internal, "{fault:?}");
}
