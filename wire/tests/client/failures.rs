//! Whatever goes wrong is a fault that says why and what to try.

use std::time::Duration;

use tokio::net::TcpListener;
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};

use crate::server::{answer, serve};

async fn fault_of(status: &str, media: &str, body: &str) -> Fault {
    let served = serve(answer(status, media, body.as_bytes())).await;
    let status = served.client.status().await;
    status.expect_err("the answer was a failure")
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable_with_a_reason_and_a_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("none.sock").display());
    for address in [format!("http://{address}"), socket] {
        let client = Client::new(&address, ClientOptions::default()).unwrap();
        let fault = client.status().await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{fault:?}");
        assert!(fault.what.contains(&address), "{fault:?}");
        assert!(
            !fault.because.is_empty() && fault.try_.is_some(),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_fault_of_the_node_arrives_unchanged() {
    let sent = Fault::new(FaultKind::Refused, "2 of 3 nodes are needed")
        .because("1 is up")
        .try_("glebe node list");
    let body = serde_json::to_string(&sent).unwrap();
    let media = wire::fault::MEDIA_TYPE;
    assert_eq!(fault_of("409 Conflict", media, &body).await, sent);
}

#[tokio::test]
async fn a_foreign_error_page_is_named_by_its_status() {
    let page = "x".repeat(10_000);
    let fault = fault_of("500 Internal Server Error", "text/html", &page).await;
    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(
        fault.what.ends_with("answered 500 Internal Server Error"),
        "{}",
        fault.what
    );
    assert!(fault.because[0].len() < 200);
    let fault = fault_of("401 Unauthorized", "text/html", "").await;
    assert_eq!(fault.kind, FaultKind::Unidentified);
    let fault = fault_of("403 Forbidden", "text/html", "").await;
    assert_eq!(fault.kind, FaultKind::Forbidden);
}

#[tokio::test]
async fn an_answer_of_something_else_is_not_taken_for_one() {
    let fault = fault_of("200 OK", "application/json", "{\"hello\":1}").await;
    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(fault.because[0].contains("missing field"), "{fault:?}");
    let fault = fault_of("302 Found", "text/html", "").await;
    assert_eq!(fault.kind, FaultKind::Internal);
}

#[tokio::test]
async fn a_scene_without_a_ledger_is_no_fault() {
    let served = serve(answer("404 Not Found", "text/plain", b"")).await;
    assert_eq!(served.client.ledger("naip", "s1").await, Ok(None));
    let line = served.asked().line;
    assert_eq!(line, "GET /v1/ledger?collection=naip&scene=s1");
}

#[tokio::test]
async fn a_node_that_stays_silent_runs_out_of_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = ClientOptions {
        timeout: Some(Duration::from_millis(50)),
        ..ClientOptions::default()
    };
    let client = Client::new(&address, options).unwrap();
    let fault = client.status().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault:?}");
}

#[tokio::test]
async fn what_is_no_name_is_refused_before_it_is_sent() {
    let served = serve(Vec::new()).await;
    for name in ["", "../x", "a/b", "a b", ".hidden"] {
        let fault = served.client.run(name).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage, "{name}");
    }
    assert_eq!(served.asked().line, "");
}
