//! A TCP proxy that passes everything on a while later, or little at a time.
//!
//! *Invariants*: bytes stay in order; what is under way is bounded by what the senders' windows
//! and the queues of chunks hold, on a narrow line by little more than a chunk; its threads end with
//! their connections.
//!
//! *Not here*: loss, and rates of whole machines (`lab`).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Chunks under way in one direction of a far line.
const CHUNKS_MAX: usize = 1_024;
/// Bytes of a chunk on a far line.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a chunk on a narrow one: so little is passed on at once.
const NARROW_BYTES: usize = 4 << 10;

/// What a line is like, in each direction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// Everything arrives so much later.
    Far(Duration),
    /// So many bytes a second arrive.
    Narrow(u32),
}

impl Line {
    /// Chunks that wait, and bytes of each.
    fn queue(self) -> (usize, usize) {
        match self {
            Self::Far(_) => (CHUNKS_MAX, CHUNK_BYTES),
            Self::Narrow(_) => (1, NARROW_BYTES),
        }
    }

    /// Waits until a chunk that came then may arrive.
    fn wait(self, came: Instant, bytes: usize) {
        std::thread::sleep(match self {
            Self::Far(delay) => (came + delay).saturating_duration_since(Instant::now()),
            Self::Narrow(rate) => Duration::from_secs_f64(bytes as f64 / f64::from(rate)),
        });
    }
}

/// Listens on this machine; returns where. Everything arrives at `to`, by such a line.
pub(crate) fn through(line: Line, to: SocketAddr) -> SocketAddr {
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
            join((&client, &server), line);
            join((&server, &client), line);
        }
    });
    address
}

/// Passes on what comes from one to the other, in two threads.
fn join((from, to): (&TcpStream, &TcpStream), line: Line) {
    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (chunks, bytes) = line.queue();
    let (sender, receiver) = sync_channel(chunks);
    std::thread::spawn(move || take(from, &sender, bytes));
    std::thread::spawn(move || give(to, &receiver, line));
}

fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, bytes: usize) {
    let mut buffer = vec![0; bytes];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || sender.send((Instant::now(), buffer[..n].to_vec())).is_err() {
            return;
        }
    }
}

fn give(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>, line: Line) {
    while let Ok((came, bytes)) = receiver.recv() {
        line.wait(came, bytes.len());
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Err: it is closed already.
    drop(to.shutdown(Shutdown::Both));
}
