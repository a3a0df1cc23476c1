//! Bytes of messages, frozen, and bytes that are none.

mod runs;

use earth::split::meta::SplitId;
use earth::split::placement::PlacementKey;
use proptest::prelude::*;

use super::*;
use crate::access::{Fixed, Grant, Revocation};
use crate::identity::to_hex;
use crate::layout::{Member, Place, What};
use crate::store::{ContentHash, Span};
use crate::token::Claim;
use runs::{fates, fates_request, log_part, logs, page, plan, planned, steer};

/// One line a message: its name and its bytes in hexadecimal digits.
const GOLDEN: &str = include_str!("../../tests/golden/peer.txt");

fn node(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

fn changes() -> ChangeSet {
    let first = Member {
        node: node("a"),
        place: Place {
            host: Some("rack1".to_owned()),
            ..Place::default()
        },
        draining: false,
    };
    let set = ChangeSet::found(2, &first).unwrap();
    let what = What::Join(Place {
        zone: Some("east".to_owned()),
        weight: 300,
        ..Place::default()
    });
    set.with(node("b"), what).unwrap()
}

fn beat() -> Beat {
    let stamp = |version| Stamp { version, digest: 7 };
    Beat {
        node: node("a"),
        age: Age {
            incarnation: 2,
            count: 300,
        },
        p2p: "h:1".to_owned(),
        http: "http://h:2".to_owned(),
        known: stamp(3),
        synced: stamp(2),
        reading: stamp(1),
        unconfirmed: SlotSet::none(),
        catalog: 9,
        versions: versions(),
        signature: Fixed([0x51; 64]),
    }
}

/// What the first version said of itself: the bytes are its.
fn versions() -> Versions {
    decode(&[1; 4]).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Split, "c/s~9xj5k")
}

fn version() -> Version {
    Version {
        revision: 1,
        hash: ContentHash::from_bytes([0x11; 32]),
    }
}

fn question() -> Question {
    Question {
        query: "{}".to_owned(),
        slots: SlotSet::none(),
    }
}

fn listing() -> Listing {
    Listing {
        kind: Kind::Model,
        slots: SlotSet::none(),
        after: Some((77, "r/9xj5k".to_owned())),
        verify: true,
        purpose: Purpose::Repair,
    }
}

fn grants() -> GrantNews {
    let grant = Grant {
        id: Fixed([0x61; 8]),
        purpose: wire::access::Purpose::Ask(wire::access::Role::Write),
        label: "lab".to_owned(),
        hash: Fixed([0x62; 32]),
        made: 300,
        expires: Some(400),
        by: node("a"),
        signature: Fixed([0x63; 64]),
    };
    let revocation = Revocation {
        id: Fixed([0x64; 8]),
        by: node("a"),
        signature: Fixed([0x65; 64]),
    };
    GrantNews {
        given: vec![grant],
        revoked: vec![revocation],
    }
}

fn news() -> News {
    News {
        beats: vec![beat()],
        changes: Some(changes()),
        wanted: vec![(node("b"), Age::default())],
        grants: grants(),
        granted: Some(6),
        vouchers: vec![Voucher {
            change: Fixed([0x71; 16]),
            by: node("a"),
            signature: Fixed([0x72; 64]),
        }],
        suspects: vec![(node("b"), Age::default())],
        differs: true,
    }
}

/// A message of each kind of question.
fn requests() -> Vec<(&'static str, Request)> {
    let gossip = Gossip {
        digest: 300,
        known: beat().known,
        beat: Some(beat()),
        ages: vec![(node("a"), beat().age)],
        grants: 6,
    };
    let news = news();
    let head = Head {
        key: key(),
        placement_key: PlacementKey::named("run", "r"),
        files: vec![("r10.tif".to_owned(), 300)],
        revision: Some(2),
        standin: true,
        layout: Some(beat().known),
    };
    let part = Part {
        transfer: 5,
        head: Some(head),
        bytes: b"xyz".to_vec().into(),
        purpose: Purpose::Put,
    };
    let piece = Piece {
        key: key(),
        file: "r10.tif".to_owned(),
        offset: 300,
        length: 4 << 20,
        purpose: Purpose::Pixels,
    };
    let search = Search {
        question: question(),
        after: Some(Position {
            ranks: Vec::new(),
            id: SplitId::parse("c/s~9xj5k").unwrap(),
        }),
        rows_max: 256,
    };
    let mut all = vec![
        ("gossip", Request::Gossip(gossip)),
        ("tell", Request::Tell(news)),
        ("probe", Request::Probe(Some(node("b")))),
        ("versions", Request::Versions(Purpose::Repair, vec![key()])),
        ("put", Request::Put(part)),
        ("mark", Request::Mark(SlotSet::none())),
        ("describe", Request::Describe(Purpose::Query, key())),
        ("fetch", Request::Fetch(piece)),
        ("list", Request::List(listing())),
        ("search", Request::Search(search)),
        ("emptiness", Request::Emptiness(question())),
        ("records", Request::Records(listing())),
        ("status", Request::Status(SlotSet::none())),
        ("forget", Request::Forget(vec![(key(), version())])),
        ("plan", plan()),
        ("jobs", Request::Jobs("r".to_owned())),
        ("counts", Request::Counts(vec!["r".to_owned()])),
        ("steer", steer()),
        ("compose", compose()),
        ("fetch_composed", fetch_composed()),
        ("compare", compare()),
        ("repair", repair()),
        ("loads", Request::Loads),
        ("textures", Request::Textures(question())),
        ("fates", fates_request()),
        ("heed", Request::Heed("r".to_owned())),
        ("logs", logs()),
    ];
    all.extend(runs::requests());
    all.push(("doubt", Request::Doubt));
    all
}

fn compose() -> Request {
    Request::Compose(ComposeJob {
        number: 300,
        job: "{}".to_owned(),
    })
}

fn compare() -> Request {
    Request::Compare(Comparison {
        layout: beat().known,
        spans: vec![Span::all()],
    })
}

fn differences() -> Vec<(u32, Difference)> {
    let held = Held {
        slot: earth::split::placement::Slot::new(300).unwrap(),
        key: key(),
        hash: version().hash,
        revision: 1,
        bytes: 300,
    };
    let within = Difference::Within(vec![Span::all()]);
    vec![(0, within), (300, Difference::Items(vec![held]))]
}

fn fetch_composed() -> Request {
    Request::FetchComposed(ComposedPiece {
        number: 300,
        file: 1,
        offset: 4 << 20,
        length: 4 << 20,
    })
}

/// A message of each kind of answer.
fn responses() -> Vec<(&'static str, Response)> {
    let fault = Fault::new(FaultKind::Refused, "w").because("b").try_("t");
    let stored = Stored {
        outcome: PutOutcome::Kept,
        version: version(),
    };
    let record = Record {
        key: key(),
        placement_key: PlacementKey::named("run", "r"),
        files: Vec::new(),
        hash: version().hash,
        revision: 1,
        document: "{}".to_owned(),
    };
    let hits = Hits {
        index: "time".to_owned(),
        hits: vec![Match {
            position: Position {
                ranks: Vec::new(),
                id: SplitId::parse("c/s~9xj5k").unwrap(),
            },
            version: version(),
            json: "{}".to_owned(),
        }],
        rows_estimated: 300,
        pairs: Some(Tally {
            splits: 300,
            ..Tally::default()
        }),
        ..Hits::default()
    };
    vec![
        ("fault", Response::Fault(fault.into())),
        ("done", Response::Done),
        ("news", Response::News(News::default())),
        ("alive", Response::Alive(true)),
        ("versions", Response::Versions(vec![None, Some(version())])),
        ("stored", Response::Stored(stored)),
        ("described", Response::Described(Some(Box::new(record)))),
        ("bytes", Response::Bytes(vec![1, 2, 3].into())),
        ("listed", Response::Listed(Listed::default())),
        ("hits", Response::Hits(hits)),
        ("empty", Response::Empty("{}".to_owned())),
        ("records", Response::Records(RecordPage::default())),
        ("status", Response::Status(Box::default())),
        ("compared", Response::Compared(differences())),
        ("planned", Response::Planned(planned())),
        ("jobs", Response::Jobs("[]".to_owned(), SlotSet::none())),
        ("counts", Response::Counts(vec![JobCounts::default()])),
        ("steered", Response::Steered(3)),
        ("composed", Response::Composed(Some("{}".to_owned()))),
        ("repaired", Response::Repaired(Some("{}".to_owned()))),
        ("loads", Response::Loads(vec![load()])),
        ("textures", Response::Textures(vec![texture()])),
        ("fates", Response::Fates(fates())),
        ("logs", Response::Logs(log_part())),
        ("spare", Response::Spare(300)),
        ("hosted", Response::Hosted(vec![None, Some(300)])),
        ("granted", Response::Granted(vec![true, false])),
        ("cells", Response::Cells(vec!["9xj5k".to_owned()])),
        ("rivals", Response::Rivals(vec![true, false])),
        ("jobs_page", Response::JobsPage(page())),
        ("doubt", Response::Doubt(Some(doubted()))),
    ]
}

fn repair() -> Request {
    Request::Repair(RepairJob {
        number: 300,
        dry_run: true,
    })
}

fn texture() -> CellTexture {
    CellTexture {
        geocode: "9xj5".to_owned(),
        splits: 300,
        measured: 2,
        texture: vec![0.5],
    }
}

fn doubted() -> Doubted {
    Doubted {
        seconds: 300,
        unread: true,
        unlisted: false,
        waits_for: vec![node("b")],
    }
}

fn load() -> SlotLoad {
    SlotLoad {
        slot: 16_383,
        splits: 3,
        bytes: 300,
    }
}

fn join_request() -> JoinRequest {
    JoinRequest {
        claim: Claim {
            id: [4; 8],
            cluster: [0x22; 16],
            expires: 1_700_000_000,
            proof: [0x33; 32],
        },
        p2p: "h:1".to_owned(),
        http: "http://h:2".to_owned(),
        place: Place::default(),
        replicas: Some(3),
        versions: versions(),
    }
}

/// Writes a message with runs of one byte shortened: `00*256`.
fn line(name: &str, bytes: &[u8]) -> String {
    let mut digits = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        let byte = to_hex(&run[..1]);
        match run.len() {
            n if n > 8 => digits.push_str(&format!("{byte}*{n} ")),
            n => digits.push_str(&byte.repeat(n)),
        }
    }
    format!("{name} {}", digits.trim_end())
}

#[test]
fn the_bytes_of_messages_are_frozen() {
    let mut lines = Vec::new();
    for (name, request) in requests() {
        lines.push(line(&format!("request.{name}"), &encode(&request)));
    }
    for (name, response) in responses() {
        lines.push(line(&format!("response.{name}"), &encode(&response)));
    }
    lines.push(line("join.request", &encode(&join_request())));
    let now = lines.join("\n");
    assert!(
        now == GOLDEN.trim_end(),
        "the format has changed; it is now\n{now}\n"
    );
}

#[test]
fn a_question_is_of_the_version_that_it_came_with() {
    for (name, request) in requests() {
        let number = encode(&request)[0];
        let since = match number {
            29 if name == "guests_publishing" => 2,
            0..=29 => 1,
            30..=34 => 2,
            // A new question takes a new version: who is of before it is not asked.
            _ => 3,
        };
        assert_eq!(request.since(), since, "{name}, number {number}");
        assert!(Speaks::OURS.reaches(since), "{name}, number {number}");
    }
}

#[test]
fn messages_read_back_and_one_byte_more_is_refused() {
    for (name, request) in requests() {
        let mut bytes = encode(&request);
        assert_eq!(decode::<Request>(&bytes), Ok(request), "{name}");
        bytes.push(0);
        assert!(decode::<Request>(&bytes).is_err(), "{name}");
    }
    for (name, response) in responses() {
        assert_eq!(
            decode::<Response>(&encode(&response)),
            Ok(response),
            "{name}"
        );
    }
}

#[test]
fn the_greater_revision_covers_and_of_equal_ones_the_lesser_hash() {
    let of = |revision, byte| Version {
        revision,
        hash: ContentHash::from_bytes([byte; 32]),
    };
    assert!(of(2, 9).covers(&of(1, 1)) && !of(1, 1).covers(&of(2, 9)));
    assert!(of(1, 1).covers(&of(1, 9)) && !of(1, 9).covers(&of(1, 1)));
    assert!(of(1, 1).covers(&of(1, 1)));
}

/// A set of slots is read from any encoding of a bitmap and written in one of its own.
const SLOTS_BYTES: usize = 3 * 2_048;

proptest! {
    #[test]
    fn whatever_arrives_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(decode::<Request>(&bytes));
        drop(decode::<Response>(&bytes));
        drop(decode::<JoinRequest>(&bytes));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused_and_never_grows(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let questions = requests().into_iter().map(|(_, r)| encode(&r));
        let answers = responses().into_iter().map(|(_, r)| encode(&r));
        let all: Vec<Vec<u8>> = questions.chain(answers).collect();
        let mut bytes = all[which.index(all.len())].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            // What is read is no longer than what came, so a length in it takes no memory.
            if let Ok(request) = decode::<Request>(bytes) {
                prop_assert!(encode(&request).len() <= bytes.len() + SLOTS_BYTES);
            }
            if let Ok(response) = decode::<Response>(bytes) {
                prop_assert!(encode(&response).len() <= bytes.len() + SLOTS_BYTES);
            }
            drop(decode::<JoinRequest>(bytes));
            drop(decode::<JoinAnswer>(bytes));
        }
    }
}
