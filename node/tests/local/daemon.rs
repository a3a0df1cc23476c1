//! A daemon's HTTP over TCP: addresses, faults, ranges.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use node::config::Config;
use node::daemon::start;
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};
use wire::object::PutParams;

use crate::fixture::splits;

fn config(data: &Path) -> Config {
    Config {
        data: data.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        http: "127.0.0.1:0".to_owned(),
        advertise: None,
        tls: None,
        tokens: node::config::Tokens::default(),
        join: None,
        token_file: None,
        replicas: Some(1),
        standing: node::layout::Standing::default(),
        upkeep: node::upkeep::Pace::default(),
        workers: 0,
        chips_mib: None,
        device: None,
    }
}

/// Sends one request as it is; returns head and body of the answer.
fn raw(address: &str, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    let lines = format!("{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(lines.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_tags_and_ranges_and_wrong_requests_their_faults() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(config(dir.path())).await.unwrap();
    let http = running.ready().http.clone();
    let client = Client::new(&http, ClientOptions::default()).unwrap();
    let split = splits().remove(0);
    let files = vec![("r60.tif".to_owned(), split.files[0].bytes.clone())];
    let key = split.placement_key.clone();
    let bundle = wire::bundle::Bundle::new(split.key.kind, split.key.id.clone(), key, files);
    client
        .put(&bundle.unwrap(), &PutParams::default())
        .await
        .unwrap();
    let whole = split.files[0].bytes.clone();
    let url = format!("/v1/split/asset?id={}&asset=r60.tif", split.key.id);
    let check = tokio::task::spawn_blocking(move || {
        let (head, body) = raw(&http, &format!("GET {url} HTTP/1.1"));
        let tag = blake3::hash(&whole).to_hex();
        assert!(head.starts_with("http/1.1 200") && head.contains(&format!("etag: \"{tag}\"")));
        assert_eq!(body, whole);
        let (head, body) = raw(&http, &format!("GET {url} HTTP/1.1\r\nRange: bytes=4-7"));
        assert!(head.starts_with("http/1.1 206"), "{head}");
        assert_eq!(body, whole[4..8]);
        let known = format!("GET {url} HTTP/1.1\r\nIf-None-Match: \"{tag}\"");
        assert!(raw(&http, &known).0.starts_with("http/1.1 304"));
        let fault = |request: &str, status: &str| {
            let (head, body) = raw(&http, request);
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
            assert!(head.contains("application/problem+json"), "{head}");
            serde_json::from_slice::<Fault>(&body).unwrap().kind
        };
        assert_eq!(fault("GET /nowhere HTTP/1.1", "404"), FaultKind::Nothing);
        assert_eq!(fault("DELETE /healthz HTTP/1.1", "400"), FaultKind::Usage);
        assert_eq!(fault("GET /v1/split HTTP/1.1", "400"), FaultKind::Usage);
        let cut = "PUT /v1/object HTTP/1.1\r\nContent-Length: 0";
        assert_eq!(fault(cut, "422"), FaultKind::Data);
        let (head, body) = raw(&http, "GET /metrics HTTP/1.1");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("glebe_splits 1\n"), "{text}");
    });
    check.await.unwrap();
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_held_folder_are_refused() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let running = start(config(dirs[0].path())).await.unwrap();
    let address = running.ready().http.replace("http://", "");
    let check = async |config: Config, words: &str| {
        let fault = start(config).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
        assert!(fault.what.contains(words), "{fault:?}");
        assert!(fault.try_.is_some(), "{fault:?}");
    };
    let taken = Config {
        http: address.clone(),
        ..config(dirs[1].path())
    };
    check(taken, "cannot listen on").await;
    check(config(dirs[0].path()), "held by another process").await;
    running.shutdown().await;
    let again = start(config(dirs[0].path())).await.unwrap();
    again.shutdown().await;
}
