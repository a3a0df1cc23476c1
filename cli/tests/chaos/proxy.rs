//! A TCP proxy that passes everything on a while later.
//!
//! *Invariants*: bytes stay in order; what is under way is bounded by what the senders' windows
//! and the queues of chunks hold; its threads end with their connections.
//!
//! *Not here*: loss and rates (`lab`).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Chunks under way in one direction.
const CHUNKS_MAX: usize = 1_024;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 64 << 10;

/// Listens on this machine; returns where. Everything arrives at `to` so much later.
pub(crate) fn delaying(to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else {
                continue;
            };
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            join((&client, &server), delay);
            join((&server, &client), delay);
        }
    });
    address
}

/// Passes on what comes from one to the other, in two threads.
fn join((from, to): (&TcpStream, &TcpStream), delay: Duration) {
    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    std::thread::spawn(move || take(from, &sender));
    std::thread::spawn(move || give(to, &receiver, delay));
}

fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || sender.send((Instant::now(), buffer[..n].to_vec())).is_err() {
            return;
        }
    }
}

fn give(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>, delay: Duration) {
    while let Ok((came, bytes)) = receiver.recv() {
        std::thread::sleep((came + delay).saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Err: it is closed already.
    drop(to.shutdown(Shutdown::Both));
}
