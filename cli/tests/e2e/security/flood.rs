//! Clients that cost too much: slow ones, thousands of them, oversized requests, guesses, those
//! that do not read what they asked for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wire::client::{Client, ClientOptions};
use wire::module::{BYTES_MAX, Module};
use wire::object::PutParams;

use super::{ask_with, open_node, token};
use crate::harness::{Node, expect, scratch, until, world};

/// S3: who is slower than this is gone.
const DROPPED_WITHIN: Duration = Duration::from_secs(10);
/// Idle connections that the issue asks for.
const IDLE: usize = 10_000;
/// Readers of 64 MiB each that take none of it: more than twice what answers may hold.
const UNREAD: usize = 10;
/// Memory that answers and one put of 64 MiB may take together: 256 MiB and a third more.
const ANSWERED_BYTES_MAX: u64 = 400 << 20;
/// Requests whose time is measured.
const MEASURED: usize = 300;

fn address(node: &Node) -> String {
    node.http.split_once("://").unwrap().1.to_owned()
}

fn connect(node: &Node) -> TcpStream {
    let socket = TcpStream::connect(address(node)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket
}

/// Tells whether the other end has closed, or answered and closed.
fn is_closed(socket: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => {
                use std::io::ErrorKind::{TimedOut, WouldBlock};
                return !matches!(e.kind(), TimedOut | WouldBlock);
            }
        }
    }
}

/// Sends a byte every two seconds until the node closes; returns how long that took.
fn dribble(node: &Node, start: &str) -> Duration {
    let mut socket = connect(node);
    socket.write_all(start.as_bytes()).unwrap();
    let (begun, mut sent) = (Instant::now(), Instant::now());
    while !is_closed(&mut socket) {
        assert!(
            begun.elapsed() < 3 * DROPPED_WITHIN,
            "never closed: {start}"
        );
        if sent.elapsed() >= Duration::from_secs(2) {
            sent = Instant::now();
            if socket.write_all(b"a").is_err() {
                break;
            }
        }
    }
    begun.elapsed()
}

/// Searches, and finds all there is; returns the time that it took.
pub(super) fn search(node: &Node, token: Option<&str>) -> Duration {
    let proof = token.map_or_else(String::new, |t| format!("authorization: Bearer {t}\r\n"));
    let query = r#"{"query":{"limit":1000}}"#;
    let (answer, took) = request(
        node,
        &format!(
            "POST /v1/search HTTP/1.1\r\nhost: localhost\r\n{proof}connection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{query}",
            query.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let hits = answer.matches("{\"hit\":").count();
    assert!(hits > 0 && answer.contains("\"complete\":true"), "{answer}");
    assert!(answer.contains(&format!("\"hits\":{hits},")), "{answer}");
    took
}

/// One request on a connection of its own; returns the answer and the time that it took.
fn request(node: &Node, text: &str) -> (String, Duration) {
    let begun = Instant::now();
    let mut socket = TcpStream::connect(address(node)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    drop(socket.write_all(text.as_bytes()));
    let mut answer = Vec::new();
    drop(socket.read_to_end(&mut answer));
    (
        String::from_utf8_lossy(&answer).into_owned(),
        begun.elapsed(),
    )
}

fn get(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    )
}

#[test]
fn a_client_of_a_byte_in_two_seconds_is_dropped_within_ten() {
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &[]);
    let token = std::fs::read_to_string(token(&node, folder, "write")).unwrap();
    let with_body = format!(
        "POST /v1/collections HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 5000\r\n\r\n{{",
        token.trim()
    );
    let starts = ["", "GET /healthz HTTP/1.1\r\nx: ", with_body.as_str()];
    let slow_node = &node;
    std::thread::scope(|scope| {
        let slow = starts.map(|start| scope.spawn(move || dribble(slow_node, start)));
        for (slow, start) in slow.into_iter().zip(starts) {
            let took = slow.join().unwrap();
            assert!(took <= DROPPED_WITHIN, "{took:?}: {start}");
            assert!(took > Duration::from_secs(2), "dropped at once: {start}");
        }
    });
    let (answer, _) = request(&node, &get("/v1/status", token.trim()));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn ten_thousand_idle_connections_do_not_hold_up_a_query() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let may = limit.maximum.unwrap_or(u64::MAX);
    if may < IDLE as u64 + 200 {
        eprintln!("SKIPPED: only {may} files may be open, {IDLE} connections take more");
        return;
    }
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &[]);
    let file = token(&node, folder, "write");
    let scenes = world(folder, 1, 1, 300);
    let mut ingest = ask_with(&node, folder, &file);
    expect(ingest.args(["ingest", "--precision", "6"]).arg(scenes), 0);
    let token = std::fs::read_to_string(&file).unwrap();
    search(&node, Some(token.trim()));
    let before = node.peak_from_now();
    let mut idle: Vec<TcpStream> = Vec::with_capacity(IDLE);
    let mut times = Vec::with_capacity(MEASURED);
    for i in 0..IDLE {
        let mut socket = TcpStream::connect(address(&node)).unwrap();
        if i % 2 == 0 {
            // Half of them are half-open requests.
            drop(socket.write_all(b"GET /v1/status HTTP/1.1\r\nhost: "));
        }
        idle.push(socket);
        if i % (IDLE / MEASURED) == 0 {
            times.push(search(&node, Some(token.trim())));
        }
    }
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let grown = node.peak().saturating_sub(before);
    eprintln!(
        "{IDLE} idle connections: p99 {p99:?}, memory grew by {} KiB",
        grown >> 10
    );
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
    assert!(grown < 32 << 20, "{grown} bytes");
    expect(ask_with(&node, folder, &file).arg("status"), 0);
    drop(idle);
}

#[test]
fn oversized_requests_are_refused_and_cost_no_memory() {
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &[]);
    let token = std::fs::read_to_string(token(&node, folder, "write")).unwrap();
    let token = token.trim();
    let before = node.peak_from_now();
    let head = |length: &str| {
        format!(
            "POST /v1/search HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\nconnection: \
             close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let long_path = get(&format!("/{}", "a".repeat(80 << 10)), token);
    let many = "x: y\r\n".repeat(200);
    let many = format!("GET /healthz HTTP/1.1\r\nhost: h\r\n{many}\r\n");
    let cases = [
        (head("9223372036854775807"), 400..=499),
        (head("18446744073709551616"), 400..=499),
        (head("-1"), 400..=499),
        (head("9000000") + &"[".repeat(9_000_000), 400..=499),
        (head("600") + &"[".repeat(600), 400..=499),
        (long_path, 400..=499),
        (many, 400..=499),
    ];
    for (text, wanted) in cases {
        let (answer, _) = request(&node, &text);
        let status = answer.get(9..12).and_then(|s| s.parse::<u16>().ok());
        let said = &text[..text.len().min(120)];
        assert!(
            status.is_none_or(|s| wanted.contains(&s)),
            "{said}: {answer}"
        );
    }
    let grown = node.peak().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    let (answer, _) = request(&node, &get("/v1/status", token));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn who_guesses_tokens_is_soon_not_listened_to_and_is_counted() {
    let folder = scratch();
    let folder = folder.path();
    let node = open_node(folder, "node0", &[]);
    let good = std::fs::read_to_string(token(&node, folder, "read")).unwrap();
    let guess = format!("glebekey1_{}", "0".repeat(80));
    let statuses: Vec<String> = (0..40)
        .map(|_| request(&node, &get("/v1/status", &guess)).0[9..12].to_owned())
        .collect();
    assert_eq!(statuses[0], "401");
    assert!(statuses.contains(&"429".to_owned()), "{statuses:?}");
    // After a few seconds the address may try again: the good token is taken.
    let mut metrics = String::new();
    until("the address may ask again", || {
        metrics = request(&node, &get("/metrics", good.trim())).0;
        metrics.starts_with("HTTP/1.1 200")
    });
    let count = |why: &str| {
        let name = format!("glebe_refused_total{{why=\"{why}\"}} ");
        let line = metrics.lines().find_map(|l| l.strip_prefix(&name));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert!(count("token") >= 20 && count("rate") >= 1, "{metrics}");
    let log = std::fs::read_to_string(folder.join("node0.log")).unwrap();
    assert!(log.matches("refused").count() <= 4, "said too often: {log}");
}

/// Stores a module of the greatest size; returns its id.
fn store_module(node: &Node) -> String {
    let bytes = vec![7; usize::try_from(BYTES_MAX).unwrap()];
    let module = Module {
        blake3: blake3::hash(&bytes).to_hex().to_string(),
        bytes: BYTES_MAX,
        inputs: vec!["red".to_owned()],
        label: "nir".to_owned(),
        answer: wire::module::Answer::default(),
        loss: wire::module::Loss::Mse,
        classes: None,
    };
    let bundle = module.bundle(bytes.into()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let put = async {
        let client = Client::new(&node.http, ClientOptions::default()).unwrap();
        client.put(&bundle, &PutParams::default()).await.unwrap();
    };
    runtime.block_on(put);
    module.blake3
}

#[test]
fn readers_that_take_nothing_of_large_files_cost_a_bounded_memory_and_others_are_served() {
    let folder = scratch();
    let folder = folder.path();
    let node = Node::start(folder, "node0", &[]);
    let scenes = world(folder, 1, 1, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(scenes), 0);
    let id = store_module(&node);
    let plain =
        |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let ask = plain(&format!("/v1/module?blake3={id}"));
    let before = node.resident();
    let mut unread: Vec<TcpStream> = (0..UNREAD).map(|_| connect(&node)).collect();
    for socket in &mut unread {
        socket.write_all(ask.as_bytes()).unwrap();
    }
    until("answers hold what they may", || {
        node.resident() > before + (180 << 20)
    });
    let took = search(&node, None);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // In turn, after all of those, which are cut off one after the other.
    let mut reader = connect(&node);
    reader
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    reader.write_all(ask.as_bytes()).unwrap();
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let body = &answer[head + 4..];
    assert_eq!(blake3::hash(body).to_hex().as_str(), id);
    let peak = node.peak();
    eprintln!("{UNREAD} unread answers of 64 MiB: {} MiB", peak >> 20);
    assert!(peak < ANSWERED_BYTES_MAX, "{peak} bytes");
}
