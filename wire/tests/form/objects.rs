//! Objects, collections and ledgers.

use wire::bundle::{BundleHeader, Kind};
use wire::collection::{CollectionDeleted, Collections};
use wire::hit::{KnownSplit, KnownSplits};
use wire::ledger::Outcome;
use wire::object::{PutAck, PutOutcome, PutParams, Rebuilt};

use crate::check::check;
use crate::samples::{collection, counts, file, id, key, ledger, renew, texts};

#[test]
fn objects_and_collections_keep_their_form() {
    check(
        "bundle-header",
        &BundleHeader {
            kind: Kind::Split,
            id: id().to_string(),
            placement_key: key(),
            files: vec![file()],
        },
    );
    check(
        "put-ack",
        &PutAck {
            kind: Kind::Model,
            id: "r1/9xj5k".to_owned(),
            outcome: PutOutcome::Kept,
            acked_by: texts(&["12D3KooWa", "12D3KooWb"]),
            standins: texts(&["12D3KooWb"]),
            bytes: 4_096,
        },
    );
    check("put-params", &PutParams::publish(&renew()));
    check(
        "rebuilt",
        &Rebuilt {
            objects: 3,
            slots: 2,
            bytes: 4_096,
            dry_run: true,
            left_out: Vec::new(),
        },
    );
    check(
        "collections",
        &Collections {
            collections: vec![collection()],
        },
    );
    check(
        "collection-deleted",
        &CollectionDeleted {
            splits: 3,
            bytes: 4_096,
            dry_run: true,
        },
    );
    let known = KnownSplit {
        id: id(),
        counts: counts(),
        bytes: 4_096,
    };
    check(
        "known-splits",
        &KnownSplits {
            splits: vec![known],
            complete: true,
        },
    );
    check("ledger", &ledger(Outcome::Done));
    let reason = "the file is cut off".to_owned();
    check("ledger-failed", &ledger(Outcome::Failed { reason }));
}
