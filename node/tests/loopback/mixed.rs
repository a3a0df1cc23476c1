//! Nodes beside doubles: members that say what a test has them say, as one of an earlier version
//! does that knows fewer questions.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use earth::split::placement::PlacementKey;
use node::identity::{Identity, NodeId};
use node::layout::Stamp;
use node::membership::{Age, Beat};
use node::peer::{
    Fates, News, PeerFault, Planned, RecordPage, Request, Response, Versions, decode, encode,
};
use node::runs::Wished;
use node::slots::SlotSet;
use node::swarm::{self, Inbound, Lane, Link, Listening};
use query::Query;
use tempfile::TempDir;
use tokio::sync::mpsc;
use wire::bundle::Kind;
use wire::cluster::NodeState;
use wire::fault::{Fault, FaultKind};
use wire::region::CellTexture;
use wire::run::Run;
use wire::transfer::TransferMode;

use crate::bench::{Node, SOON, cluster, collection, fill, until};
use crate::fixture::COLLECTION;
use crate::heirs::{CELLS, run};

/// Numbers of questions: mean textures of cells, what is planned of a run, and which of the asker's
/// jobs may go.
const TEXTURES: u8 = 23;
const FATES: u8 = 24;
const RIVALS: u8 = 31;
/// The first question of the second version.
const SECOND: u8 = 30;
/// What doubles say that they speak: the first version of messages, and the one after it.
const VERSIONS: [(u16, u16); 2] = [(1, 1), (1, 2)];
/// The cell that a double says it holds.
const CELL: &str = "9xj00k";

/// A member by name that is a double: it says which messages it speaks, answers what it must, and
/// takes down the numbers of all questions.
struct Double {
    id: String,
    state: Arc<State>,
    /// It listens while this lives.
    link: Link,
}

/// What a double was asked, and what it says.
#[derive(Default)]
struct State {
    asked: Mutex<Vec<u8>>,
    /// It says that it has planned all cells of all runs.
    vouches: AtomicBool,
}

impl Double {
    /// Takes the place of a node that was stopped, in the eyes of another.
    async fn of(dir: &TempDir, messages: (u16, u16), at: &Node) -> Self {
        let identity = Identity::open(dir.path()).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let Listening {
            link,
            inbound,
            address,
            ..
        } = swarm::listen(&identity, any).await.unwrap();
        let node = NodeId::parse(&at.id()).unwrap();
        link.admit([node.clone()]).await;
        let state = Arc::<State>::default();
        tokio::spawn(serve(inbound, messages, Arc::clone(&state)));
        let news = News {
            beats: vec![beat(&identity, address, messages)],
            ..News::default()
        };
        let id = identity.node().to_string();
        let double = Self { id, state, link };
        double.tell(at, &Request::Tell(news)).await;
        until("it is up", async || double.state(at) == NodeState::Up).await;
        double
    }

    /// Tells a node something.
    async fn tell(&self, at: &Node, word: &Request) {
        let (node, to) = (NodeId::parse(&at.id()).unwrap(), at.cluster.p2p().parse());
        let asked = self
            .link
            .ask((&node, to.unwrap()), encode(word), Lane::Work, SOON);
        let heard = asked.await.unwrap();
        assert_eq!(decode::<Response>(&heard).unwrap(), Response::Done);
    }

    fn state(&self, at: &Node) -> NodeState {
        let nodes = at.cluster.view().nodes;
        nodes.iter().find(|n| n.id == self.id).unwrap().state
    }

    /// Returns the numbers of the questions so far.
    fn asked(&self) -> Vec<u8> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Returns how often it was asked that question.
    fn times(&self, number: u8) -> usize {
        self.asked()
            .into_iter()
            .filter(|asked| *asked == number)
            .count()
    }
}

fn beat(identity: &Identity, address: SocketAddr, messages: (u16, u16)) -> Beat {
    let versions: Versions = decode(&encode(&(messages, (1_u16, 1_u16)))).unwrap();
    let mut beat = Beat {
        node: identity.node(),
        age: Age {
            incarnation: 100,
            count: 1,
        },
        p2p: address.to_string(),
        http: "http://double.example".to_owned(),
        known: Stamp::default(),
        synced: Stamp::default(),
        reading: Stamp::default(),
        unconfirmed: SlotSet::none(),
        catalog: 0,
        versions,
        signature: node::access::Fixed::default(),
    };
    beat.signature = identity.sign(&beat.signed_bytes());
    beat
}

async fn serve(mut inbound: mpsc::Receiver<Inbound>, messages: (u16, u16), state: Arc<State>) {
    while let Some(question) = inbound.recv().await {
        let number = question.frame[0];
        state.asked.lock().unwrap().push(number);
        // The first version closed what it could not read without a word.
        if number < SECOND || messages.1 > 1 {
            question
                .reply
                .send(encode(&answer(&question.frame, &state)))
                .await;
        }
    }
}

fn answer(frame: &[u8], state: &State) -> Response {
    match decode::<Request>(frame).unwrap() {
        Request::Gossip(_) => Response::News(News::default()),
        Request::Tell(_) | Request::Mark(_) => Response::Done,
        Request::Probe(_) => Response::Alive(false),
        Request::Records(_) => Response::Records(RecordPage::default()),
        Request::Textures(_) => Response::Textures(vec![CellTexture {
            geocode: CELL.to_owned(),
            splits: 1,
            ..CellTexture::default()
        }]),
        Request::Plan(_) => Response::Planned(Planned { splits: 0, jobs: 0 }),
        Request::Fates(asked) => Response::Fates(Fates {
            slots: if state.vouches.load(Ordering::SeqCst) {
                SlotSet::all()
            } else {
                SlotSet::none()
            },
            wished: Wished::default(),
            cells: vec![None; asked.cells.len()],
        }),
        Request::Rivals(asked) => Response::Rivals(vec![false; asked.jobs.len()]),
        _ => {
            let fault = Fault::new(FaultKind::Internal, "a double does not do that");
            Response::Fault(PeerFault::from(fault))
        }
    }
}

/// Who could not read the question was suspected of being dead each time that it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_an_earlier_version_is_not_asked_what_it_does_not_know() {
    let mut nodes = cluster(3, 3).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let busy = nodes.iter().position(|n| !n.runs.jobs("r").is_empty());
    let node = nodes.remove(busy.unwrap());
    let dir = nodes.remove(0).kill().await;
    let earlier = Double::of(&dir, VERSIONS[0], &node).await;
    // Until it has been heard of which version it came back, it may be asked once.
    until("it is heard", async || earlier.asked().len() > 10).await;
    let before = earlier.asked().len();
    let dir = nodes.remove(0).kill().await;
    let same = Double::of(&dir, VERSIONS[1], &node).await;
    until("jobs are compared with who can", async || {
        same.asked().contains(&RIVALS)
    })
    .await;
    // Both would be asked at once, and this is long after.
    let then = earlier.asked().len();
    until("it is asked other things", async || {
        earlier.asked().len() > then + 10
    })
    .await;
    let unknown: Vec<u8> = { earlier.asked().into_iter().skip(before) }
        .filter(|n| *n >= SECOND)
        .collect();
    assert_eq!(unknown, Vec::<u8>::new());
    assert_eq!(earlier.state(&node), NodeState::Up);
}

/// A run could not begin while one owner was of before `Cells`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_though_an_owner_is_of_before_the_question_for_cells() {
    let mut nodes = cluster(2, 1).await;
    nodes[0].put(&collection()).await.unwrap();
    let slot = PlacementKey::named("collection", COLLECTION).slot();
    let owner = nodes
        .iter()
        .position(|n| n.cluster.owners(slot) == [n.id()]);
    let node = nodes.remove(owner.unwrap());
    let dir = nodes.remove(0).kill().await;
    let earlier = Double::of(&dir, VERSIONS[0], &node).await;
    let is_here = |name: &String| {
        let slot = PlacementKey::named(Kind::Run.word(), name).slot();
        node.cluster.owners(slot) == [node.id()]
    };
    let name = (0..1_000).map(|i| format!("r{i}")).find(is_here).unwrap();
    let asked = Run::new(&name, "ndvi-cnn", Query::default());
    node.cluster.start_run(asked, false).await.unwrap();
    assert_eq!(node.runs.definition(&name).unwrap().cells, [CELL]);
    let numbers = earlier.asked();
    assert!(numbers.contains(&TEXTURES), "{numbers:?}");
    assert!(numbers.iter().all(|n| *n < SECOND), "{numbers:?}");
}

/// Whose cell it was believed for five minutes that another had it planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_that_somebody_vouches_for_no_more_are_planned_as_soon_as_it_says_so() {
    let mut nodes = cluster(3, 3).await;
    fill(&nodes, CELLS).await;
    let started = nodes[0].cluster.start_run(run(TransferMode::None), false);
    started.await.unwrap();
    let cells = |node: &Node| -> BTreeSet<String> {
        let jobs = node.runs.jobs("r").into_iter();
        jobs.map(|job| job.geocode).collect()
    };
    let busy = nodes.iter().position(|n| !cells(n).is_empty());
    let lost = nodes.remove(busy.unwrap());
    let node = nodes.remove(0);
    let double = Double::of(&*nodes.remove(0).kill().await, VERSIONS[1], &node).await;
    double.state.vouches.store(true, Ordering::SeqCst);
    let mut theirs = cells(&lost);
    let (gone, before) = (lost.id(), double.times(FATES));
    drop(lost.kill().await);
    until("the loss is noticed, and somebody vouches", async || {
        let nodes = node.cluster.view().nodes;
        let state = nodes.iter().find(|n| n.id == gone).unwrap().state;
        state == NodeState::Down && double.times(FATES) > before
    })
    .await;
    theirs.retain(|cell| !cells(&node).contains(cell));
    assert!(!theirs.is_empty(), "nobody has planned them");
    double.state.vouches.store(false, Ordering::SeqCst);
    let word = Request::Unplanned("r".to_owned());
    double.tell(&node, &word).await;
    until("they are planned", async || {
        cells(&node).is_superset(&theirs)
    })
    .await;
}
