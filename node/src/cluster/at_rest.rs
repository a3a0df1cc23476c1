//! Files that a node of the first version has left, read by this one: their words and bytes are
//! frozen.
//!
//! *Invariants*: a file of an example is never written anew; a later version adds its own.
//!
//! *Not here*: objects (`store::note`), jobs (`runs::book`), what nodes send (`peer`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use earth::split::placement::Slot;
use jiff::Timestamp;
use serde_json::Value;
use wire::access::{Purpose, Role};

use super::{file, remembered};
use crate::access::{Fixed, Keyring, Stranger};
use crate::identity::{Identity, NodeId, to_hex};
use crate::layout::Stamp;
use crate::membership::{Age, Beat};
use crate::peer::decode;
use crate::token::ClusterId;

/// The first version of the file, and the one whose slots are drawn from changes.
const CLUSTER_UNDRAWN: &str = include_str!("../../tests/golden/cluster.json");
const CLUSTER: &str = include_str!("../../tests/golden/cluster-2.json");
const TOKENS: &str = include_str!("../../tests/golden/tokens.json");
const IDENTITY: &str = include_str!("../../tests/golden/identity.key");
/// One beat as it was written first, alone, and then behind a checksum.
const MARKS: &str = include_str!("../../tests/golden/marks.txt");
/// Who wrote all of them.
const WRITER: &str = "12D3KooWGWWDdTjpBGFpwhLPGBYuSU2DK3JJ8orqwoDpJvJxvVYR";
/// One of the tokens, as its holder has it.
const SHOWN: &str =
    "glebekey1_575c87426cec9b822e7a7ce791795edd37979c463ac9fce015b1d2d0fddb593cea0c8ebd4f9368af";

fn put(data: &Path, name: &str, bytes: &[u8]) {
    let path = data.join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs.map(|p| u8::from_str_radix(p, 16).unwrap()).collect()
}

fn cluster_of(text: &str) -> ClusterId {
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(value["cluster"].clone()).unwrap()
}

#[test]
fn the_file_of_a_cluster_is_read_to_the_last_word_and_written_so() {
    let data = tempfile::tempdir().unwrap();
    put(data.path(), file::CLUSTER_FILE, CLUSTER.as_bytes());
    let record = file::read(data.path()).unwrap().unwrap();
    assert_eq!((record.changes.len(), record.vouchers.len()), (8, 4));
    assert_eq!(record.incarnation, 1);
    assert!(record.changes.layout().forsaken().len() == 1);
    let written = serde_json::to_string_pretty(&record).unwrap() + "\n";
    assert_eq!(written, CLUSTER);
}

/// Read as it stands, its nodes would look for what it holds at others than those that hold it.
#[test]
fn the_file_of_a_cluster_that_dealt_slots_otherwise_is_refused_but_that_of_one_node() {
    let data = tempfile::tempdir().unwrap();
    put(data.path(), file::CLUSTER_FILE, CLUSTER_UNDRAWN.as_bytes());
    let refused = file::read(data.path()).unwrap_err().to_string();
    assert!(refused.contains("deals slots otherwise"), "{refused}");
    let mut alone: Value = serde_json::from_str(CLUSTER_UNDRAWN).unwrap();
    alone["changes"].as_array_mut().unwrap().truncate(2);
    put(
        data.path(),
        file::CLUSTER_FILE,
        alone.to_string().as_bytes(),
    );
    let record = file::read(data.path()).unwrap().unwrap();
    let written = serde_json::to_value(&record).unwrap();
    assert_eq!(written["format"], 2);
    assert_eq!(written["changes"], alone["changes"]);
}

#[test]
fn the_file_of_tokens_admits_who_it_admitted_and_is_written_so() {
    let data = tempfile::tempdir().unwrap();
    put(data.path(), "tokens.json", TOKENS.as_bytes());
    let keyring = Keyring::open(data.path(), cluster_of(CLUSTER)).unwrap();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let admitted = keyring.check(SHOWN, at(1_798_036_247)).unwrap();
    assert_eq!(admitted.role, Role::Read);
    assert_eq!(
        keyring.check(SHOWN, at(1_798_036_248)),
        Err(Stranger::Expired)
    );
    let listed = keyring.tokens(at(0)).tokens;
    let purposes: Vec<Purpose> = listed.iter().map(|t| t.purpose).collect();
    let wanted = [Role::Read, Role::Write].map(Purpose::Ask);
    assert!(wanted.iter().all(|p| purposes.contains(p)), "{purposes:?}");
    assert!(purposes.contains(&Purpose::Join));
    // All is written again when one more is taken back.
    let admitted = to_hex(&admitted.id.0);
    keyring.revoke(&admitted, &Identity::generate()).unwrap();
    let written = fs::read_to_string(data.path().join("tokens.json")).unwrap();
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (written, golden) = (read(&written), read(TOKENS));
    assert_eq!(
        (&written["format"], &written["given"]),
        (&golden["format"], &golden["given"])
    );
    let revoked = written["revoked"].as_array().unwrap();
    assert!(
        revoked.len() == 2 && revoked.contains(&golden["revoked"][0]),
        "{written}"
    );
}

#[test]
fn the_key_of_a_node_is_read_and_names_the_same_node() {
    let data = tempfile::tempdir().unwrap();
    put(data.path(), crate::identity::KEY_FILE, IDENTITY.as_bytes());
    let identity = Identity::open(data.path()).unwrap();
    assert_eq!(identity.node().as_str(), WRITER);
}

#[test]
fn marks_of_both_versions_are_read() {
    let stamp = |version| Stamp { version, digest: 7 };
    let beat = Beat {
        node: NodeId::parse(WRITER).unwrap(),
        age: Age {
            incarnation: 2,
            count: 300,
        },
        p2p: "h:1".to_owned(),
        http: "http://h:2".to_owned(),
        known: stamp(3),
        synced: stamp(2),
        reading: stamp(1),
        unconfirmed: [3, 4, 9_000].into_iter().filter_map(Slot::new).collect(),
        catalog: 9,
        versions: decode(&[1, 2, 1, 1]).unwrap(),
        signature: Fixed([0x51; 64]),
    };
    let data = tempfile::tempdir().unwrap();
    let written = remembered::seal(std::slice::from_ref(&beat));
    let golden: Vec<&str> = MARKS.lines().collect();
    assert_eq!(to_hex(&written), golden[1]);
    for version in golden {
        put(data.path(), "marks", &bytes_of(version));
        let read = remembered::read(data.path()).unwrap();
        assert_eq!(read, std::slice::from_ref(&beat));
    }
}
