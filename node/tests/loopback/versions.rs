//! Nodes of other versions of glebe: peers over real sockets that speak ranges of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use node::identity::{Identity, NodeId};
use node::layout::{Place, Stamp};
use node::membership::{Age, Beat};
use node::peer::{JoinAnswer, JoinRequest, News, Request, Response, Versions, decode, encode};
use node::refusals::Refused;
use node::slots::SlotSet;
use node::store::Store;
use tempfile::TempDir;
use wire::cluster::{NodeState, VersionRange};
use wire::fault::{Fault, FaultKind};

use crate::bench::{Node, cluster, collection, fill, folder, open, set, ticket, until};
use crate::hostile::raw;

const OURS: &str = "messages of version 4, files of version 1";
/// What a glebe to come offers on a stream, the latest first.
const LATER: [&str; 2] = ["/glebe/2", "/glebe/1"];
/// Connections that are tried until one is answered.
const TRIES_MAX: usize = 50;

/// The least and the greatest version of something.
type Range = (u16, u16);

fn versions(messages: Range, files: Range) -> Versions {
    decode(&encode(&(messages, files))).unwrap()
}

/// A node of another version.
struct Other {
    dir: Arc<TempDir>,
    identity: Identity,
}

impl Other {
    fn new(dir: Arc<TempDir>) -> Self {
        let identity = Identity::open(dir.path()).unwrap();
        Self { dir, identity }
    }

    async fn say(&self, to: &Node, protocols: &[&'static str], message: &[u8]) -> Vec<u8> {
        let to: SocketAddr = to.cluster.p2p().parse().unwrap();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&length[..], message].concat();
        let heard = raw::say(self.dir.path(), to, protocols, frame).await;
        heard.get(4..).unwrap_or_default().to_vec()
    }

    /// Asks to be let in.
    async fn join(&self, to: &Node, versions: Versions) -> Result<(), Fault> {
        let (me, member) = (self.identity.node(), NodeId::parse(&to.id()).unwrap());
        let ends = node::token::Ends {
            joiner: &me,
            member: &member,
        };
        let request = JoinRequest {
            claim: ticket(to).token.unwrap().claim(ends),
            p2p: "127.0.0.1:1".to_owned(),
            http: "http://later.example".to_owned(),
            place: Place::default(),
            replicas: None,
            versions,
        };
        let heard = self.say(to, &["/glebe/join/1"], &encode(&request)).await;
        match decode(&heard).unwrap() {
            JoinAnswer::Welcome(_) => Ok(()),
            JoinAnswer::Refused(fault) => Err(fault.into()),
        }
    }

    /// Says what it exchanges, after so many starts.
    async fn beat(&self, to: &Node, incarnation: u64, versions: Versions) -> Response {
        let mut beat = Beat {
            node: self.identity.node(),
            age: Age {
                incarnation,
                count: 1,
            },
            p2p: "127.0.0.1:1".to_owned(),
            http: "http://later.example".to_owned(),
            known: Stamp::default(),
            synced: Stamp::default(),
            reading: Stamp::default(),
            unconfirmed: SlotSet::none(),
            catalog: 0,
            versions,
            signature: node::access::Fixed::default(),
        };
        beat.signature = self.identity.sign(&beat.signed_bytes());
        let news = News {
            beats: vec![beat],
            ..News::default()
        };
        let told = encode(&Request::Tell(news));
        // The connection of its earlier life may take one of this with it when it ends.
        for _ in 0..TRIES_MAX {
            let heard = self.say(to, &LATER, &told).await;
            if !heard.is_empty() {
                return decode(&heard).unwrap();
            }
        }
        panic!("no answer to {TRIES_MAX} beats")
    }

    /// Returns the versions of files that it exchanges, as a node tells.
    fn files_at(&self, at: &Node) -> Option<VersionRange> {
        let nodes = at.cluster.view().nodes;
        let me = nodes
            .iter()
            .find(|n| n.id == self.identity.node().as_str())?;
        Some(me.versions.as_ref()?.files)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_or_reads_nothing_that_members_do_is_told_both_ranges_and_changes_nothing() {
    let nodes = cluster(2, 2).await;
    let known = fill(&nodes, 4).await;
    let other = Other::new(folder());
    // The last of them folds changes otherwise: it would agree on the layout, and not on owners.
    let others = [
        (((5, 6), (1, 1)), "of versions 5 to 6"),
        (((4, 4), (5, 6)), "of versions 5 to 6"),
        (((1, 3), (1, 1)), "of versions 1 to 3"),
    ];
    for ((messages, files), theirs) in others {
        let refused = other.join(&nodes[0], versions(messages, files)).await;
        let fault = refused.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused);
        assert!(fault.what.contains(OURS), "{fault:?}");
        assert!(fault.what.contains(theirs), "{fault:?}");
    }
    assert_eq!(nodes[0].cluster.refusals().count(Refused::Join), 3);
    for node in &nodes {
        assert_eq!(node.cluster.view().nodes.len(), 2);
        let (found, end) = node.all().await;
        assert_eq!((set(found), end.complete), (known.clone(), true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_node_is_let_in_and_is_spoken_to_as_both_can() {
    let nodes = cluster(1, 1).await;
    let known = fill(&nodes, 4).await;
    let other = Other::new(folder());
    let later = versions((4, 5), (1, 3));
    other.join(&nodes[0], later).await.unwrap();
    assert_eq!(nodes[0].cluster.view().newest, 3);
    assert_eq!(other.beat(&nodes[0], 1, later).await, Response::Done);
    let probe = encode(&Request::Probe(None));
    let heard = other.say(&nodes[0], &LATER, &probe).await;
    assert_eq!(decode::<Response>(&heard).unwrap(), Response::Alive(true));
    // In the later protocol alone nothing is said.
    let heard = other.say(&nodes[0], &LATER[..1], &probe).await;
    assert_eq!(heard, Vec::<u8>::new());
    let (found, end) = nodes[0].all().await;
    assert_eq!((set(found), end.complete), (known, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_stops_while_a_member_exchanges_nothing_that_it_does() {
    let mut nodes = cluster(3, 2).await;
    nodes[0].put(&collection()).await.unwrap();
    let other = Other::new(nodes.pop().unwrap().kill().await);
    let dir = nodes.pop().unwrap().kill().await;
    other.beat(&nodes[0], 100, versions((4, 5), (2, 3))).await;
    let later = VersionRange { least: 2, most: 3 };
    until("the member's versions are known", async || {
        other.files_at(&nodes[0]) == Some(later)
    })
    .await;
    let fault = open(Arc::clone(&dir), None, None).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Refused);
    let theirs = format!(
        "node {} of its cluster messages of versions 4 to 5, files of versions 2 to 3",
        other.identity.node()
    );
    assert!(
        fault.what.contains(OURS) && fault.what.contains(&theirs),
        "{fault:?}"
    );
    assert!(fault.try_.unwrap().contains("one by one"));
    until("it has stopped", async || Store::open(dir.path()).is_ok()).await;
    // The others go on, and so does this one when the ranges meet.
    other.beat(&nodes[0], 101, versions((4, 5), (1, 2))).await;
    let back = open(dir, None, None).await.unwrap();
    let up = |node: &Node| {
        let others = node.cluster.view().nodes.into_iter();
        others.filter(|n| n.state == NodeState::Up).count()
    };
    until("both are up", async || up(&back) == 2 && up(&nodes[0]) == 2).await;
}
