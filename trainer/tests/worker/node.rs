//! A node's side of a worker's conversation, in a thread: lends jobs and writes down what it hears.
//!
//! It speaks just enough HTTP for one request a connection; the real one is node's.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use wire::bundle::{Bundle, decode};
use wire::diary::{Entry, Report};
use wire::fault::{Fault, FaultKind};
use wire::run::{Failure, Lease, LeaseAnswer};

/// Longest wait for something that must come.
const DEADLINE: Duration = Duration::from_mins(1);

/// What a worker said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) lent: usize,
    /// Most jobs lent of which neither a model nor a failure was heard.
    pub(crate) at_once: usize,
    pub(crate) renewals: usize,
    /// Models for which there was no space.
    pub(crate) refused: usize,
    /// Reports that it did not hear.
    pub(crate) unheard: usize,
    pub(crate) failures: Vec<Failure>,
    /// What was said of jobs.
    pub(crate) said: Vec<Entry>,
    /// Published models, each with the query string it came under.
    pub(crate) models: Vec<(Bundle, String)>,
}

/// How the node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Renews and accepts.
    Kind,
    /// Every lease has just been given to another worker.
    Stale,
    /// Renews, but has no space for so many models that it is offered.
    Full(usize),
    /// Renews and accepts, but does not hear so many reports of what is said.
    Deaf(usize),
}

/// Renewals before a file is sent that is held back.
const HELD_RENEWALS: usize = 2;

/// The node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) url: String,
    state: Arc<(Mutex<Heard>, Condvar)>,
}

impl Node {
    pub(crate) fn lending(leases: Vec<Lease>, temper: Temper) -> Self {
        Self::with(leases, temper, None)
    }

    /// A kind one with a donor's file, which it sends only once a lease was renewed twice.
    pub(crate) fn holding(leases: Vec<Lease>, file: Vec<u8>) -> Self {
        Self::with(leases, Temper::Kind, Some(file))
    }

    fn with(leases: Vec<Lease>, temper: Temper, file: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let node = Self {
            url,
            state: Arc::default(),
        };
        let mut desk = Desk {
            node: node.clone(),
            leases: leases.into(),
            temper,
            file,
            waiting: None,
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                desk.serve(stream);
            }
        });
        node
    }

    /// Looks at what was heard.
    pub(crate) fn heard<R>(&self, look: impl FnOnce(&Heard) -> R) -> R {
        look(&self.state.0.lock().expect("no panic"))
    }

    /// Waits until something was heard.
    pub(crate) fn wait(&self, enough: impl Fn(&Heard) -> bool) {
        let heard = self.state.0.lock().expect("no panic");
        let (heard, late) = self
            .state
            .1
            .wait_timeout_while(heard, DEADLINE, |h| !enough(h))
            .expect("no panic");
        drop(heard);
        assert!(
            !late.timed_out(),
            "the worker has not said it in {DEADLINE:?}"
        );
    }

    fn note(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.state.0.lock().expect("no panic"));
        self.state.1.notify_all();
    }
}

/// The thread's side.
struct Desk {
    node: Node,
    leases: VecDeque<Lease>,
    temper: Temper,
    /// A donor's file.
    file: Option<Vec<u8>>,
    /// Who waits for it.
    waiting: Option<TcpStream>,
}

impl Desk {
    fn serve(&mut self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let Some((line, body)) = request(&mut reader) else {
            return;
        };
        if self.file.is_some() && line.contains("/v1/model/file") {
            self.waiting = Some(reader.into_inner());
            return;
        }
        let (status, answer) = self.answer(&line, body);
        send(reader.into_inner(), status, answer.as_bytes());
        if self.node.heard(|heard| heard.renewals >= HELD_RENEWALS)
            && let Some(stream) = self.waiting.take()
        {
            send(stream, "200 OK", self.file.as_deref().unwrap_or_default());
        }
    }

    fn is_full(&self) -> bool {
        let refused = self.node.heard(|heard| heard.refused);
        matches!(self.temper, Temper::Full(models) if refused < models)
    }

    fn is_deaf(&self) -> bool {
        let unheard = self.node.heard(|heard| heard.unheard);
        matches!(self.temper, Temper::Deaf(reports) if unheard < reports)
    }

    fn answer(&mut self, line: &str, body: Vec<u8>) -> (&'static str, String) {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let stale = self.temper == Temper::Stale;
        match target.split('?').next().unwrap_or_default() {
            "/v1/lease" => {
                let lease = self.leases.pop_front();
                self.node.note(|h| {
                    h.lent += usize::from(lease.is_some());
                    let under_way = h.lent - h.models.len() - h.failures.len();
                    h.at_once = h.at_once.max(under_way);
                });
                let finished = LeaseAnswer::Finished;
                let answer = lease.map_or(finished, |l| LeaseAnswer::Job(Box::new(l)));
                ("200 OK", serde_json::to_string(&answer).expect("JSON"))
            }
            "/v1/lease/renew" => {
                self.node.note(|h| h.renewals += 1);
                if stale {
                    refusal()
                } else {
                    ("204 No Content", String::new())
                }
            }
            "/v1/lease/log" if stale => refusal(),
            "/v1/lease/log" if self.is_deaf() => {
                self.node.note(|h| h.unheard += 1);
                let fault = Fault::new(FaultKind::Unreachable, "it restarts");
                let told = serde_json::to_string(&fault).expect("JSON");
                ("503 Service Unavailable", told)
            }
            "/v1/lease/log" => {
                let report: Report = serde_json::from_slice(&body).expect("a report");
                self.node.note(|h| h.said.extend(report.entries));
                ("204 No Content", String::new())
            }
            "/v1/lease/fail" => {
                let failure = serde_json::from_slice(&body).expect("a failure");
                self.node.note(|h| h.failures.push(failure));
                ("204 No Content", String::new())
            }
            "/v1/object" if self.is_full() => {
                self.node.note(|h| h.refused += 1);
                let fault = Fault::new(FaultKind::Refused, "no space left for 9 bytes");
                ("409 Conflict", serde_json::to_string(&fault).expect("JSON"))
            }
            "/v1/object" if !stale => {
                let bundle = decode(body.into()).expect("a bundle");
                let ack = serde_json::json!({
                    "kind": "model", "id": bundle.header.id, "outcome": "new",
                    "acked_by": ["n"], "standins": [], "bytes": 1,
                });
                self.node
                    .note(|h| h.models.push((bundle, target.to_owned())));
                ("200 OK", ack.to_string())
            }
            "/v1/model/file" => {
                let fault = Fault::new(FaultKind::Nothing, "there is no such file");
                let told = serde_json::to_string(&fault).expect("JSON");
                ("404 Not Found", told)
            }
            _ => refusal(),
        }
    }
}

/// Answers; the worker may have been killed meanwhile.
fn send(mut stream: TcpStream, status: &str, body: &[u8]) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    drop(stream.write_all(&[head.as_bytes(), body].concat()));
}

fn refusal() -> (&'static str, String) {
    let fault = Fault::new(FaultKind::Refused, "the lease is another worker's");
    ("409 Conflict", serde_json::to_string(&fault).expect("JSON"))
}

/// Reads one request: its first line and its body.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}
