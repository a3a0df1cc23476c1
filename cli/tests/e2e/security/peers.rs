//! What strangers get at the port where nodes speak to each other: nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::flood::search;
use crate::harness::{Node, expect, scratch, until, world};

/// S1: how much a node may grow, at its peak.
const GROWN_BYTES_MAX: u64 = 10 << 20;
/// S3: idle strangers.
const STRANGERS: usize = 3_000;
/// Bytes of multistream-select, with which libp2p offers Noise to anybody; nothing else is said.
const OFFER_BYTES_MAX: usize = 64;

/// Says something to the peer-to-peer port; returns what it answered.
fn say(node: &Node, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(&node.p2p).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut answer = Vec::new();
    drop(socket.write_all(bytes));
    drop(socket.read_to_end(&mut answer));
    answer
}

/// Frames, greetings and garbage that are no Noise handshake.
fn garbage() -> Vec<Vec<u8>> {
    let hello = [
        &[
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
        ][..],
        &[7; 500],
    ];
    let mut all = vec![
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        hello.concat(),
        vec![0xff; 70_000],
        vec![0; 70_000],
        b"\x13/multistream/1.0.0\n\x0d/glebe/join/1\n".to_vec(),
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xffrubbish".to_vec(),
        u64::MAX.to_be_bytes().to_vec(),
        (1_u64 << 40).to_be_bytes().to_vec(),
    ];
    let mut state = 1_u64;
    for _ in 0..30 {
        let random = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        });
        all.push(random.take(3_000).collect());
    }
    all
}

fn healthy(node: &Node, folder: &std::path::Path) {
    expect(node.ask(folder).arg("status"), 0);
}

#[test]
fn garbage_of_every_kind_gets_no_application_byte_and_one_line_of_log() {
    let folder = scratch();
    let folder = folder.path();
    let mut node = Node::start(folder, "node0", &[]);
    healthy(&node, folder);
    let before = node.peak_from_now();
    std::thread::scope(|scope| {
        for bytes in garbage() {
            let node = &node;
            scope.spawn(move || {
                let answer = say(node, &bytes);
                let start = &bytes[..bytes.len().min(20)];
                assert!(answer.len() <= OFFER_BYTES_MAX, "{start:?}: {answer:?}");
            });
        }
    });
    let grown = node.peak().saturating_sub(before);
    eprintln!("garbage: memory grew by {} KiB", grown >> 10);
    assert!(grown < GROWN_BYTES_MAX, "{grown} bytes");
    healthy(&node, folder);
    assert!(node.lives());
    let log = std::fs::read_to_string(folder.join("node0.log")).unwrap();
    let said = log.matches("handshake").count();
    assert!((1..=2).contains(&said), "said {said} times: {log}");
}

#[test]
fn three_thousand_idle_strangers_hold_up_no_query_and_are_dropped() {
    let folder = scratch();
    let folder = folder.path();
    let mut node = Node::start(folder, "node0", &[]);
    let scenes = world(folder, 1, 1, 300);
    let ingest = ["ingest", "--precision", "6"];
    expect(node.ask(folder).args(ingest).arg(scenes), 0);
    search(&node, None);
    let before = node.peak_from_now();
    let mut strangers = Vec::with_capacity(STRANGERS);
    let mut times = Vec::new();
    for i in 0..STRANGERS {
        let Ok(socket) = TcpStream::connect(&node.p2p) else {
            continue;
        };
        strangers.push(socket);
        if i % 100 == 0 {
            times.push(search(&node, None));
        }
    }
    let open = |strangers: &mut Vec<TcpStream>| {
        let is_open = |socket: &mut TcpStream| {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 256];
            loop {
                match socket.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(e) => return e.kind() == std::io::ErrorKind::WouldBlock,
                }
            }
        };
        strangers.iter_mut().map(is_open).filter(|is| *is).count()
    };
    until("no more are pending than may be", || {
        open(&mut strangers) <= 64
    });
    let begun = Instant::now();
    until("all are dropped", || open(&mut strangers) == 0);
    assert!(
        begun.elapsed() <= Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    times.sort_unstable();
    let slowest = times[times.len() - 1];
    let grown = node.peak().saturating_sub(before);
    eprintln!(
        "{STRANGERS} strangers: slowest query {slowest:?}, grew {} KiB",
        grown >> 10
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(grown < GROWN_BYTES_MAX, "{grown} bytes");
    assert!(node.lives());
}
