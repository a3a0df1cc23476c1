//! A member that lies: it has a name, speaks the protocol, and is not what it says.

pub(crate) mod raw;
mod stray;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use node::access::{Fixed, Grant, GrantNews};
use node::cluster::Voucher;
use node::identity::Identity;
use node::layout::{Change, ChangeSet, Member, Place, Shift, Stamp, What};
use node::membership::{Age, Beat};
use node::meters::Purpose;
use node::peer::{Gossip, Head, News, Part, Request, Response, decode, encode};
use node::refusals::Refused;
use node::slots::SlotSet;
use node::swarm::{self, Lane, Link, LinkError};
use tempfile::TempDir;
use wire::cluster::NodeState;

use crate::bench::{Node, SOON, cluster, collection, folder, splits, until};

/// A node that was a member and whose key somebody else has now.
struct Traitor {
    dir: Arc<TempDir>,
    identity: Identity,
    link: Link,
}

/// Founds a cluster of three, of which the last is turned.
async fn betrayed() -> (Vec<Node>, Traitor) {
    betrayed_of(2).await
}

/// The same with so many replicas.
async fn betrayed_of(replicas: u8) -> (Vec<Node>, Traitor) {
    let mut nodes = cluster(3, replicas).await;
    nodes[0].put(&collection()).await.unwrap();
    let dir = nodes.pop().unwrap().kill().await;
    let identity = Identity::open(dir.path()).unwrap();
    let here = "127.0.0.1:0".parse().unwrap();
    let listening = swarm::listen(&identity, here).await.unwrap();
    let link = listening.link;
    let victims = nodes.iter().map(|n| n.id().parse_id());
    link.admit(victims).await;
    let traitor = Traitor {
        dir,
        identity,
        link,
    };
    (nodes, traitor)
}

/// Node ids of text.
trait ParseId {
    fn parse_id(&self) -> node::identity::NodeId;
}

impl ParseId for String {
    fn parse_id(&self) -> node::identity::NodeId {
        node::identity::NodeId::parse(self).unwrap()
    }
}

impl Traitor {
    /// Sends bytes as a question; returns the answer's.
    async fn send(&self, to: &Node, frame: Vec<u8>, limit: Duration) -> Result<Bytes, LinkError> {
        let address = to.cluster.p2p().parse().unwrap();
        let node = to.id().parse_id();
        self.link
            .ask((&node, address), frame, Lane::Work, limit)
            .await
    }

    async fn ask(&self, to: &Node, request: &Request) -> Response {
        let answer = self.send(to, encode(request), SOON).await.unwrap();
        decode(&answer).unwrap()
    }

    async fn tell(&self, to: &Node, news: News) {
        assert_eq!(self.ask(to, &Request::Tell(news)).await, Response::Done);
    }
}

fn beat(node: &node::identity::NodeId, age: Age) -> Beat {
    let stamp = Stamp {
        version: u64::MAX,
        digest: 7,
    };
    Beat {
        node: node.clone(),
        age,
        p2p: "127.0.0.1:1".to_owned(),
        http: "http://evil.example".to_owned(),
        known: stamp,
        synced: stamp,
        reading: stamp,
        unconfirmed: SlotSet::all(),
        catalog: 1,
        versions: node::peer::Versions::OURS,
        signature: Fixed::default(),
    }
}

/// The most that a beat can claim.
const FAR_AHEAD: Age = Age {
    incarnation: u64::MAX,
    count: u64::MAX,
};

fn refused(node: &Node, why: Refused) -> u64 {
    node.cluster.refusals().count(why)
}

/// Asserts that nobody believes anything of what was told.
fn unmoved(nodes: &[Node]) {
    for node in nodes {
        let view = node.cluster.view();
        assert_eq!(view.nodes.len(), 3, "nobody was let in or put out");
        for shown in view.nodes {
            assert_ne!(shown.http, "http://evil.example", "{}", shown.id);
            let is_victim = nodes.iter().any(|n| n.id() == shown.id);
            assert!(!is_victim || shown.state == NodeState::Up, "{}", shown.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_about_others_are_refused_counted_and_change_nothing() {
    let (nodes, traitor) = betrayed().await;
    let other = nodes[1].id().parse_id();
    let unsigned = beat(&other, FAR_AHEAD);
    let mut posing = unsigned.clone();
    posing.signature = traitor.identity.sign(&posing.signed_bytes());
    let nobody = Identity::generate();
    let mut unknown = beat(&nobody.node(), FAR_AHEAD);
    unknown.signature = nobody.sign(&unknown.signed_bytes());
    let mut own_life = beat(&nodes[0].id().parse_id(), FAR_AHEAD);
    own_life.signature = traitor.identity.sign(&own_life.signed_bytes());
    for lie in [unsigned, posing, unknown, own_life] {
        let news = News {
            beats: vec![lie],
            ..News::default()
        };
        traitor.tell(&nodes[0], news).await;
    }
    assert_eq!(refused(&nodes[0], Refused::Beat), 3);
    unmoved(&nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layout_and_tokens_that_no_member_signed_are_refused_counted_and_change_nothing() {
    let (nodes, traitor) = betrayed().await;
    let first = Member {
        node: nodes[0].id().parse_id(),
        place: Place::default(),
        draining: false,
    };
    // Made up whole: it holds none of the changes that are known, and puts everybody else out.
    let nobody = Identity::generate();
    let join = What::Join(Place {
        weight: 900,
        ..Place::default()
    });
    let made_up = ChangeSet::found(1, &first).unwrap();
    let made_up = made_up.with(nobody.node(), join).unwrap();
    let posing = made_up.iter().map(|_| Voucher {
        change: Fixed([1; 16]),
        by: nodes[1].id().parse_id(),
        signature: Fixed([1; 64]),
    });
    for vouchers in [Vec::new(), posing.collect()] {
        let news = News {
            changes: Some(made_up.clone()),
            vouchers,
            ..News::default()
        };
        traitor.tell(&nodes[0], news).await;
    }
    assert_eq!(refused(&nodes[0], Refused::Change), 2);
    let grant = Grant {
        id: Fixed([1; 8]),
        purpose: wire::access::Purpose::Ask(wire::access::Role::Admin),
        label: String::new(),
        hash: Fixed([1; 32]),
        made: 1,
        expires: None,
        by: nodes[1].id().parse_id(),
        signature: Fixed([1; 64]),
    };
    let news = News {
        grants: GrantNews {
            given: vec![grant],
            revoked: Vec::new(),
        },
        ..News::default()
    };
    traitor.tell(&nodes[0], news).await;
    assert_eq!(refused(&nodes[0], Refused::Grant), 1);
    assert!(nodes[0].cluster.tokens().tokens.len() <= 2);
    unmoved(&nodes);
}

/// Returns a voucher for a change that its maker never gave.
fn forged(change: &Change, by: &Node) -> Voucher {
    let mut name = [0; 16];
    name.copy_from_slice(&blake3::hash(&encode(change)).as_bytes()[..16]);
    Voucher {
        change: Fixed(name),
        by: by.id().parse_id(),
        signature: Fixed([7; 64]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_a_removal_and_a_rebalance_that_no_member_signed_move_nothing() {
    let (nodes, traitor) = betrayed().await;
    let victim = nodes[1].id().parse_id();
    let question = Gossip {
        ages: Vec::new(),
        known: Stamp::default(),
        beat: Some(beat(&traitor.identity.node(), Age::default())),
        digest: 0,
        grants: 0,
    };
    let answer = traitor.ask(&nodes[0], &Request::Gossip(question)).await;
    let Response::News(known) = answer else {
        panic!("{answer:?}");
    };
    let changes = known.changes.unwrap();
    let before = nodes[0].cluster.view();
    let shift = Shift {
        from: victim.clone(),
        to: traitor.identity.node(),
        slots: (0..500).collect(),
    };
    let rebalance = What::Rebalance(vec![shift]);
    for what in [What::Drain(true), What::Leave, What::Forsake, rebalance] {
        let made_up = changes.with(victim.clone(), what).unwrap();
        let posing = forged(made_up.iter().last().unwrap(), &nodes[1]);
        for vouchers in [Vec::new(), vec![posing]] {
            let news = News {
                changes: Some(made_up.clone()),
                vouchers: [known.vouchers.clone(), vouchers].concat(),
                ..News::default()
            };
            traitor.tell(&nodes[0], news).await;
        }
    }
    assert_eq!(refused(&nodes[0], Refused::Change), 8);
    let after = nodes[0].cluster.view();
    assert_eq!((after.newest, after.slots), (before.newest, before.slots));
    assert!(after.nodes.iter().all(|n| !n.draining));
    unmoved(&nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_is_not_what_it_says_is_kept_nowhere() {
    let (nodes, traitor) = betrayed().await;
    let object = splits(1).remove(0);
    let whole = object.files[0].bytes.to_vec();
    let (mut flipped, mut short) = (whole.clone(), whole.clone());
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    short.truncate(last);
    let mut renamed = object.key.clone();
    renamed.id = renamed.id.replace("s1", "s2");
    let lies = [
        (object.key.clone(), flipped),
        (object.key.clone(), short),
        (renamed, whole),
    ];
    for (number, (key, bytes)) in (0..).zip(lies) {
        for revision in [None, Some(9)] {
            let head = Head {
                key: key.clone(),
                placement_key: object.placement_key.clone(),
                files: vec![(object.files[0].name.clone(), bytes.len() as u64)],
                revision,
                standin: false,
                layout: None,
            };
            let part = Part {
                transfer: number,
                head: Some(head),
                bytes: bytes.clone().into(),
                purpose: Purpose::Put,
            };
            let answer = traitor.ask(&nodes[0], &Request::Put(part)).await;
            assert!(matches!(answer, Response::Fault(_)), "{key:?}: {answer:?}");
        }
    }
    assert_eq!(refused(&nodes[0], Refused::Object), 6);
    assert!(nodes[0].all().await.0.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_none_are_refused_aloud_and_the_node_answers_on() {
    let (nodes, traitor) = betrayed().await;
    let good = encode(&Request::Probe(None));
    for frame in [vec![0xff; 64], vec![0x7f], [good.clone(), vec![0]].concat()] {
        let answer = traitor.send(&nodes[0], frame.clone(), SOON).await.unwrap();
        let Response::Fault(fault) = decode(&answer).unwrap() else {
            panic!("{frame:?} was taken for a question");
        };
        let fault = wire::fault::Fault::from(fault);
        assert!(fault.what.contains("cannot be read"), "{fault}");
    }
    assert_eq!(refused(&nodes[0], Refused::Message), 3);
    let alive = traitor.ask(&nodes[0], &Request::Probe(None)).await;
    assert_eq!(alive, Response::Alive(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_wrong_lengths_end_the_stream_and_take_no_memory() {
    let (nodes, traitor) = betrayed().await;
    let before = raw::peak_from_now();
    let cap = u32::try_from(swarm::FRAME_BYTES_MAX).unwrap();
    let join_cap = u32::try_from(swarm::JOIN_FRAME_BYTES_MAX).unwrap();
    let frames: Vec<Vec<u8>> = vec![
        (1_u64 << 63).to_be_bytes().to_vec(),
        (1_u64 << 40).to_be_bytes().to_vec(),
        u32::MAX.to_be_bytes().to_vec(),
        (cap + 1).to_be_bytes().to_vec(),
        0_u32.to_be_bytes().to_vec(),
        [&cap.to_be_bytes()[..], b"truncated"].concat(),
        [&join_cap.to_be_bytes()[..], b"truncated"].concat(),
        vec![0, 0],
    ];
    let to: std::net::SocketAddr = nodes[0].cluster.p2p().parse().unwrap();
    for protocol in ["/glebe/1", "/glebe/join/1"] {
        for frame in &frames {
            let counted = refused(&nodes[0], Refused::Message);
            // Said again where the line broke before it was read.
            until("it is counted", || async {
                let heard = raw::say(traitor.dir.path(), to, &[protocol], frame.clone()).await;
                assert_eq!(heard, Vec::<u8>::new(), "{protocol} {frame:?}");
                refused(&nodes[0], Refused::Message) > counted
            })
            .await;
        }
    }
    let grown = raw::peak().saturating_sub(before);
    assert!(
        grown < swarm::FRAME_BYTES_MAX as u64 + (10 << 20),
        "{grown} bytes"
    );
    let alive = traitor.ask(&nodes[0], &Request::Probe(None)).await;
    assert_eq!(alive, Response::Alive(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_and_a_claim_that_was_overheard_is_worth_nothing() {
    let nodes = cluster(1, 2).await;
    let stranger = folder();
    drop(Identity::open(stranger.path()).unwrap());
    let to: std::net::SocketAddr = nodes[0].cluster.p2p().parse().unwrap();
    let probe = encode(&Request::Probe(None));
    let framed = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    };
    let heard = raw::say(stranger.path(), to, &["/glebe/1"], framed(&probe)).await;
    assert_eq!(
        heard,
        Vec::<u8>::new(),
        "the members' protocol does not exist for it"
    );
    // A joiner's claim, sent again by somebody else.
    let ticket = crate::bench::ticket(&nodes[0]);
    let joiner = Identity::generate();
    let (me, member) = (joiner.node(), nodes[0].id().parse_id());
    let ends = node::token::Ends {
        joiner: &me,
        member: &member,
    };
    let request = node::peer::JoinRequest {
        claim: ticket.token.unwrap().claim(ends),
        p2p: "127.0.0.1:1".to_owned(),
        http: "http://evil.example".to_owned(),
        place: Place::default(),
        replicas: None,
        versions: node::peer::Versions::OURS,
    };
    let heard = raw::say(
        stranger.path(),
        to,
        &["/glebe/join/1"],
        framed(&encode(&request)),
    )
    .await;
    let answer: node::peer::JoinAnswer = decode(&heard[4..]).unwrap();
    assert!(
        matches!(answer, node::peer::JoinAnswer::Refused(_)),
        "{answer:?}"
    );
    assert_eq!(nodes[0].cluster.view().nodes.len(), 1);
    assert!(refused(&nodes[0], Refused::Join) >= 1);
}
