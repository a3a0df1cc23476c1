//! A node is told to stop while it has work: it ends what it began, and the others go on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use earth::geocode::Scheme;
use earth::split::collection::Collection;
use earth::split::placement::{PlacementKey, PlacementRule};
use wire::bundle::{Bundle, Kind, MEDIA_TYPE};
use wire::object::{PutAck, PutOutcome};

use crate::harness::{DEADLINE, Node, cluster, expect, json, scratch, stderr, until, world};
use crate::kills::{Seen, ask, state};
use crate::partitions::all_is_there;
use crate::users::put_saying;

/// Longest that a stop may take: five seconds for requests under way, ten for all other tasks.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// What the machine itself may take of it.
const BUSY: Duration = Duration::from_secs(15);
/// Splits that are acknowledged before a node is told to stop.
const BEFORE: usize = 3;
/// Exit code of a command whose node does not answer.
const UNREACHABLE: i32 = 3;

fn collection(name: &str) -> Bundle {
    let collection = Collection {
        name: name.to_owned(),
        dataset: "generic".to_owned(),
        scheme: Scheme::Geohash,
        precision: 6,
        placement: PlacementRule::Whole,
    };
    let about = Bytes::from(serde_json::to_vec(&collection).unwrap());
    let key = PlacementKey::named("collection", name);
    let files = vec![("collection.json".to_owned(), about)];
    Bundle::new(Kind::Collection, name, key, files).unwrap()
}

/// Sends all of a put but its last byte; returns once the node takes in its body.
fn begin(address: &str, body: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!(
        "PUT /v1/object HTTP/1.1\r\nhost: {address}\r\ncontent-type: {MEDIA_TYPE}\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
    socket.write_all(&body[..body.len() - 1]).unwrap();
    socket
}

#[test]
fn a_node_that_stops_acknowledges_the_put_it_began_and_takes_no_other() {
    let folder = scratch();
    let folder = folder.path();
    let mut nodes = cluster(folder, 3, 2);
    let body = collection("last").encode().unwrap();
    let address = nodes[0].http.replace("http://", "");
    let mut socket = begin(&address, &body);
    let told = Instant::now();
    nodes[0].ask_to_stop();
    until("it takes no other", || {
        TcpStream::connect(&address).is_err()
    });
    assert!(nodes[0].lives(), "it did not wait for what it began");
    socket.write_all(&body[body.len() - 1..]).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let ack = answer.lines().last().unwrap();
    let ack: PutAck = serde_json::from_str(ack).unwrap();
    assert_eq!(ack.outcome, PutOutcome::New, "{answer}");
    assert!(nodes[0].ends_cleanly());
    let took = told.elapsed();
    assert!(took < STOPPED_WITHIN + BUSY, "{took:?}");
    until("the others know what it acknowledged", || {
        nodes[1..].iter().all(|node| {
            let told = json(node, folder, &["collection", "list"]);
            let mut known = told["collections"].as_array().unwrap().iter();
            known.any(|collection| collection["name"] == "last")
        })
    });
}

/// Puts scenes through a node; returns the exit code and what was said.
fn ingest(
    (folder, node): (&Path, &Node),
    scenes: &Path,
    collection: &str,
    seen: &Seen,
) -> (Option<i32>, String) {
    put_saying(&mut node.ask(folder), scenes, collection, |id| {
        seen.acked.lock().unwrap().insert(id);
    })
}

/// Counts what is acknowledged of a collection.
fn acked(seen: &Seen, collection: &str) -> usize {
    let acked = seen.acked.lock().unwrap();
    let of = |id: &&String| id.starts_with(&format!("{collection}/"));
    acked.iter().filter(of).count()
}

#[test]
fn a_node_stops_in_the_middle_of_ingests_and_queries_and_nothing_acknowledged_is_lost() {
    let folder = scratch();
    let folder = folder.path();
    // Two scenes: each asks the node that was named once more.
    let scenes = world(folder, 1, 2, 600);
    let mut nodes = cluster(folder, 3, 2);
    let https: Vec<String> = nodes.iter().map(|n| n.http.clone()).collect();
    let (id, p2p) = (nodes[0].id.clone(), nodes[0].p2p.clone());
    let seen = Seen::default();
    let ((through, through_said), (beside, beside_said), took) = std::thread::scope(|scope| {
        let (stopping, others) = nodes.split_at_mut(1);
        let asking = scope.spawn(|| ask(folder, &https, &seen));
        let named = Node::ask(&stopping[0], folder);
        let through = scope.spawn(|| {
            let mut named = named;
            put_saying(&mut named, &scenes, "through", |id| {
                seen.acked.lock().unwrap().insert(id);
            })
        });
        let beside = scope.spawn(|| ingest((folder, &others[0]), &scenes, "beside", &seen));
        until("both put", || {
            let each = ["through", "beside"].map(|name| acked(&seen, name));
            each.iter().all(|count| *count >= BEFORE)
        });
        let told = Instant::now();
        seen.turn(0);
        assert!(stopping[0].stop(), "it did not stop cleanly");
        let took = told.elapsed();
        let (through, beside) = (through.join().unwrap(), beside.join().unwrap());
        seen.over.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        (through, beside, took)
    });
    eprintln!(
        "stopped after {took:?}; the ingest through it ended with {through:?}, queries: {} \
         complete, {} partial, {} at the stopped node",
        seen.complete.load(Ordering::Relaxed),
        seen.partial.load(Ordering::Relaxed),
        seen.away.load(Ordering::Relaxed)
    );
    assert!(took < STOPPED_WITHIN + BUSY, "{took:?}");
    assert_eq!(beside, Some(0), "others go on: {beside_said}");
    if through != Some(0) {
        assert_eq!(through, Some(UNREACHABLE), "{through_said}");
        assert!(
            through_said.contains("try: ") && through_said.contains("--cluster"),
            "{through_said}"
        );
    }
    // Asked now, it says at once that nobody is there, and what to do.
    let gone = expect(nodes[0].ask(folder).args(["search", "-o", "id"]), 3);
    assert!(stderr(&gone).contains("try: "), "{}", stderr(&gone));
    // The same command at another node ends what was begun.
    let (code, said) = ingest((folder, &nodes[1]), &scenes, "through", &seen);
    assert_eq!(code, Some(0), "{said}");
    let http = nodes[0].http.replace("http://", "");
    nodes[0] = Node::start(folder, "node0", &["--listen", &p2p, "--http", &http]);
    until("all see it again", || {
        nodes.iter().all(|node| state(folder, node, &id) == "up")
    });
    let all = seen.acked.into_inner().unwrap();
    assert!(all.len() > 2 * BEFORE, "{}", all.len());
    all_is_there(folder, &nodes, &all);
}
