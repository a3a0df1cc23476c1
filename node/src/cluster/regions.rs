//! Cells over all nodes: their names, and their textures.
//!
//! *Invariants*: each cell once; where several nodes answer for it, the one that saw most.
//!
//! *Not here*: one node's cells (`answer::{jobs, textures}`), which are alike (`query::groups`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use query::Query;
use query::predicate::Predicate;
use query::route::route;
use wire::fault::{Fault, FaultKind};
use wire::region::{CellTexture, Textures};

use super::core::{AskError, Core};
use crate::identity::NodeId;
use crate::peer::{Question, Request, Response};
use crate::scatter::{self, PAGE_LIMIT};

/// Cells with the node that answered for them.
pub(super) type ByNode = Vec<(NodeId, Vec<CellTexture>)>;

/// Asks the owners of all that matches for their cells' textures.
pub(super) async fn textures(core: &Arc<Core>, query: &Query) -> Result<Textures, Fault> {
    let (cells, complete) = by_node(core, query).await?;
    let cells = each_once(cells);
    Ok(Textures { cells, complete })
}

/// Asks the same, and tells who answered; tells whether all did.
pub(super) async fn by_node(core: &Arc<Core>, query: &Query) -> Result<(ByNode, bool), Fault> {
    let textures = |answer| match answer {
        Response::Textures(cells) => Some(cells),
        _ => None,
    };
    let request = |_: &NodeId, question| Request::Textures(question);
    asked(core, query, (request, textures)).await
}

/// Returns the geocodes of all cells that splits match of; tells whether those are all. A node that
/// does not know the question is asked for their textures, which name them, too.
pub(super) async fn names(
    core: &Arc<Core>,
    query: &Query,
) -> Result<(BTreeSet<String>, bool), Fault> {
    let names = |answer| match answer {
        Response::Cells(cells) => Some(cells),
        Response::Textures(cells) => Some(cells.into_iter().map(|cell| cell.geocode).collect()),
        _ => None,
    };
    let request = |node: &NodeId, question: Question| {
        let cells = Request::Cells(question.clone());
        if core.knows(node, &cells) {
            cells
        } else {
            Request::Textures(question)
        }
    };
    let (answers, complete) = asked(core, query, (request, names)).await?;
    let names = answers
        .into_iter()
        .flat_map(|(_, cells): (_, Vec<_>)| cells);
    Ok((names.collect(), complete))
}

/// Asks the owners of all that can match; returns who answered what, and whether all did.
async fn asked<T>(
    core: &Arc<Core>,
    query: &Query,
    (request, read): (
        impl Fn(&NodeId, Question) -> Request,
        impl Fn(Response) -> Option<T>,
    ),
) -> Result<(Vec<(NodeId, T)>, bool), Fault> {
    let predicate = Predicate::compile(query)?;
    let text =
        serde_json::to_string(query).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    let catalog = core.catalog().await;
    let slots = route(&predicate, &catalog.collections);
    let coverage = scatter::cover(core, slots).await.patient();
    let gathered = scatter::gather(coverage, |node, slots| {
        let question = Question {
            query: text.clone(),
            slots,
        };
        let (request, read) = (request(&node, question), &read);
        async move {
            match core.ask(&node, request, PAGE_LIMIT).await {
                Ok(answer) => match read(answer) {
                    Some(cells) => Ok(Ok((node, cells))),
                    None => Err(AskError::senseless(&node)),
                },
                // What is refused is refused by all: nobody else is asked instead.
                Err(AskError::Fault { fault, .. }) if fault.kind == FaultKind::Usage => {
                    Ok(Err(*fault))
                }
                Err(error) => Err(error),
            }
        }
    })
    .await;
    let answers = gathered
        .answers
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let complete = gathered.missing.is_empty() && catalog.missing.is_empty();
    Ok((answers, complete))
}

/// Returns each cell once: as the node saw it that saw most.
pub(super) fn each_once(answers: ByNode) -> Vec<CellTexture> {
    let mut cells: BTreeMap<String, CellTexture> = BTreeMap::new();
    for cell in answers.into_iter().flat_map(|(_, cells)| cells) {
        match cells.get_mut(&cell.geocode) {
            Some(known) if known.splits >= cell.splits => {}
            Some(known) => *known = cell,
            None => {
                cells.insert(cell.geocode.clone(), cell);
            }
        }
    }
    cells.into_values().collect()
}
