//! What a node does not say alone while its index is doubtful.
//!
//! Whoever asks takes one owner's answer for all that there is in a slot. An index that may lack
//! what was acknowledged must not give it: the node refuses, and another owner is asked, or the
//! answer says that it is partial. Nor does it settle or plan a run, for that stays.
//!
//! *Invariants*: what is refused is refused to this node itself, too; what others need to compare
//! with this one, and to read what it surely holds, is answered; where a slot has one owner, nobody
//! could tell better, and all is answered, unless the index was remade past folders that cannot be
//! listed.
//!
//! *Not here*: what makes an index doubtful (`store::doubt`), what ends it (`upkeep::doubt`).

use std::future::Future;

use wire::fault::{Fault, FaultKind};

use super::VERSIONS_MAX;
use crate::cluster::core::Core;
use crate::meters::Purpose;
use crate::peer::{Doubted, Response, Version};
use crate::store::ObjectKey;
use crate::upkeep;

/// Answers for slots, unless the index may lack something of them.
pub(super) async fn sure<T>(
    core: &Core,
    answer: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    may_say(core)?;
    let answer = answer.await?;
    // It may have turned out to be damaged, and have been remade, just for this.
    may_say(core)?;
    Ok(answer)
}

/// Describes an object that is here; that one is not here only a trusted index tells.
pub(super) async fn described(core: &Core, key: ObjectKey) -> Result<Response, Fault> {
    let record = core.blocking(move |store| store.known(&key)).await?;
    if record.is_none() {
        may_say(core)?;
    }
    Ok(Response::Described(record.map(Box::new)))
}

/// Tells which versions of objects are here. Who asks for a query wants to know what became of
/// them: that nothing is known of one only a trusted index tells.
pub(super) async fn versions(
    core: &Core,
    (purpose, keys): (Purpose, Vec<ObjectKey>),
) -> Result<Response, Fault> {
    if keys.len() > VERSIONS_MAX {
        let what = "too many objects in one question";
        return Err(Fault::new(FaultKind::Usage, what));
    }
    let versions: Vec<Option<Version>> = core
        .blocking(move |store| keys.iter().map(|key| store.version(key)).collect())
        .await?;
    if purpose == Purpose::Query && versions.iter().any(Option::is_none) {
        may_say(core)?;
    }
    Ok(Response::Versions(versions))
}

/// Tells whether what is listed here may be taken for all that there is: the index is trusted, or
/// nobody else could tell. One that was remade past folders that cannot be listed never may.
pub(crate) fn is_sure(core: &Core) -> bool {
    if core.store.is_unlisted() {
        return false;
    }
    !core.store.is_doubtful() || core.look(|view| view.ring.read().width() < 2)
}

/// Says why this node answers for no slots alone, if it does not.
pub(super) fn told(core: &Core) -> Option<Doubted> {
    let lasts = core.store.doubted_for().filter(|_| !is_sure(core))?;
    Some(Doubted {
        seconds: lasts.as_secs(),
        unread: core.store.is_unread(),
        unlisted: core.store.is_unlisted(),
        waits_for: upkeep::waits_for(core),
    })
}

/// Refuses to answer for slots alone while the index is doubtful.
pub(super) fn may_say(core: &Core) -> Result<(), Fault> {
    if is_sure(core) {
        return Ok(());
    }
    core.upkeep.hurry();
    if core.store.is_unlisted() {
        let what = "the node's index lacks what is in folders that cannot be listed";
        return Err(Fault::new(FaultKind::Partial, what)
            .because("it was damaged, and is remade from the folders that can be")
            .try_("mend the folders that the node's log names"));
    }
    let what = "the node's index may lack what others hold";
    Err(Fault::new(FaultKind::Partial, what)
        .because("it was damaged, or the node has just started, and owners are yet to be compared")
        .try_("the same command again in a moment"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use earth::split::placement::PlacementKey;
    use tempfile::TempDir;
    use wire::bundle::Kind;
    use wire::run::Run;

    use super::super::{answer, jobs};
    use super::*;
    use crate::cluster::core::View;
    use crate::identity::NodeId;
    use crate::layout::{ChangeSet, Member, Place, What};
    use crate::membership::Table;
    use crate::membership::tests::beat;
    use crate::peer::{Listing, PlanRequest, Question, Request, Search};
    use crate::ring::Ring;
    use crate::runs::Runs;
    use crate::slots::SlotSet;
    use crate::store::{Object, PutMode, Store};

    /// A node of a layout with that many members, and two replicas, that holds one object.
    fn core(members: u64) -> (Arc<Core>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(&held(), PutMode::Replica(2)).unwrap();
        let node = |i: u64| NodeId::parse(&format!("n{i}")).unwrap();
        let runs = Runs::open(dir.path(), "n1").unwrap();
        let first = Member {
            node: node(1),
            place: Place::default(),
            draining: false,
        };
        let mut changes = ChangeSet::found(2, &first).unwrap();
        for i in 2..=members {
            changes = changes.with(node(i), What::Join(Place::default())).unwrap();
        }
        let view = View::new(Ring::new(changes), Table::new(beat("n1", 0, 0)));
        let core = Core::new((Arc::new(store), Arc::new(runs)), view, None, None);
        (Arc::new(core), dir)
    }

    fn key(id: &str) -> ObjectKey {
        ObjectKey::new(Kind::Run, id)
    }

    fn held() -> Object {
        Object::tombstone(key("held"), PlacementKey::named("run", "held"))
    }

    fn question() -> Question {
        Question {
            query: serde_json::to_string(&query::Query::default()).unwrap(),
            slots: SlotSet::all(),
        }
    }

    fn listing(verify: bool) -> Listing {
        Listing {
            kind: Kind::Run,
            slots: SlotSet::all(),
            after: None,
            verify,
            purpose: Purpose::Repair,
        }
    }

    fn a_run() -> Run {
        let query = query::Query::default();
        let run = serde_json::json!({"name": "r", "recipe": "mean", "query": query, "seed": 1});
        serde_json::from_value(run).unwrap()
    }

    /// Has a run planned, or its jobs counted.
    fn plan(dry_run: bool) -> Request {
        Request::Plan(PlanRequest {
            run: serde_json::to_string(&a_run()).unwrap(),
            slots: SlotSet::all(),
            dry_run,
        })
    }

    /// What one node must not be asked alone while it is doubtful.
    fn alone() -> Vec<Request> {
        let search = Search {
            question: question(),
            after: None,
            rows_max: 10,
        };
        vec![
            Request::Search(search),
            Request::Records(listing(false)),
            Request::List(listing(false)),
            Request::Textures(question()),
            Request::Emptiness(question()),
            Request::Cells(question()),
            plan(false),
            Request::Describe(Purpose::Query, key("lost")),
            Request::Versions(Purpose::Query, vec![key("held"), key("lost")]),
        ]
    }

    /// What it answers all the same.
    fn always() -> Vec<Request> {
        vec![
            Request::Describe(Purpose::Query, key("held")),
            plan(true),
            Request::List(listing(true)),
            Request::Versions(Purpose::Query, vec![key("held")]),
            Request::Versions(Purpose::Repair, vec![key("held"), key("lost")]),
        ]
    }

    async fn are_answered(core: &Arc<Core>, questions: Vec<Request>) -> Vec<bool> {
        let mut answered = Vec::new();
        for question in questions {
            let response = answer(core, &core.me, question).await;
            answered.push(!matches!(response, Response::Fault(_)));
        }
        answered
    }

    #[tokio::test]
    async fn a_doubtful_node_tells_what_it_has_and_never_what_there_is() {
        let (core, _dir) = core(2);
        assert_eq!(are_answered(&core, alone()).await, [true; 9]);
        core.store.distrust().unwrap();
        assert_eq!(are_answered(&core, alone()).await, [false; 9]);
        assert_eq!(are_answered(&core, always()).await, [true; 5]);
        core.store.trust(core.store.doubt().unwrap()).unwrap();
        assert_eq!(are_answered(&core, alone()).await, [true; 9]);
    }

    #[tokio::test]
    async fn where_nobody_else_could_tell_a_doubtful_node_answers() {
        let (core, _dir) = core(1);
        core.store.distrust().unwrap();
        assert_eq!(are_answered(&core, alone()).await, [true; 9]);
    }

    #[tokio::test]
    async fn with_folders_that_cannot_be_listed_no_node_answers_even_where_nobody_else_could() {
        for members in [1, 2] {
            let (core, dir) = core(members);
            let runs = dir.path().join("objects/run");
            std::fs::rename(&runs, dir.path().join("away")).unwrap();
            core.store.rebuild_index().unwrap();
            core.store.trust(core.store.doubt().unwrap()).unwrap();
            assert_eq!(are_answered(&core, alone()).await, [false; 9]);
            std::fs::rename(dir.path().join("away"), &runs).unwrap();
            core.store.reconcile().unwrap();
            core.store.trust(core.store.doubt().unwrap()).unwrap();
            assert_eq!(are_answered(&core, alone()).await, [true; 9]);
        }
    }

    #[tokio::test]
    async fn a_doubtful_node_plans_no_run() {
        let (core, _dir) = core(2);
        core.store.distrust().unwrap();
        let nothing = BTreeMap::new();
        let take = || jobs::take_over(&core, (&a_run(), &SlotSet::all()), &nothing);
        assert!(take().is_err());
        assert_eq!(are_answered(&core, vec![plan(false)]).await, [false]);
        assert!(core.runs.known().is_empty());
        core.store.trust(core.store.doubt().unwrap()).unwrap();
        assert_eq!(take().unwrap(), 0);
        assert_eq!(core.runs.known().len(), 1);
    }

    #[tokio::test]
    async fn what_turns_out_damaged_while_it_is_asked_is_not_answered() {
        let (core, _dir) = core(2);
        let found_damaged = async {
            core.store.distrust()?;
            Ok(())
        };
        assert!(sure(&core, found_damaged).await.is_err());
    }
}
