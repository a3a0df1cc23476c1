//! `glebe collection resplit`: a collection's splits in deeper or larger cells, without a scene.
//!
//! Splits come from the store and go back into it; between lie files in memory, a few splits at a
//! time. What is stored already is left as it is, so the same command goes on where one stopped.
//!
//! *Invariants*: ids are `COLLECTION/SCENE~GEOCODE`: re-splitting twice changes nothing; nothing is
//! written before all cells were found to be exact windows; memory holds one cell's splits.
//!
//! *Not here*: pixels (`earth::split::resplit`), where splits lie (node).

mod plan;
mod work;

use std::process::ExitCode;

use earth::split::collection::{Collection, is_name};
use query::Query;
use serde::Serialize;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};

use crate::args::Resplit;
use crate::print::count;
use crate::resplit::plan::Plan;
use crate::session::Session;
use crate::{Done, forecast};

/// What was done, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Told {
    /// Collection read.
    pub(crate) from: String,
    /// Collection written.
    pub(crate) into: String,
    /// Characters per geocode there.
    pub(crate) precision: u8,
    /// Splits read.
    pub(crate) splits_from: u64,
    /// Cells looked at.
    pub(crate) cells: u64,
    /// Splits stored now.
    pub(crate) stored: u64,
    /// Those that were there already.
    pub(crate) kept: u64,
    /// Cells without a valid pixel.
    pub(crate) empty: u64,
    /// Bytes stored now, one replica.
    pub(crate) bytes: u64,
    /// True if nothing was written.
    pub(crate) dry_run: bool,
}

pub(crate) async fn run(session: &Session, args: Resplit) -> Done {
    let client = session.client().await?;
    let from = known(&client, &args.collection).await?;
    let into = target(&client, &from, &args).await?;
    let query = Query {
        collections: vec![from.name.clone()],
        ..Query::default()
    };
    let plan = Plan::of(&client, query, &from, into.precision).await?;
    let mut told = Told {
        from: from.name.clone(),
        into: into.name.clone(),
        precision: into.precision,
        splits_from: plan.splits,
        cells: plan.cells(),
        dry_run: args.dry_run,
        ..Told::default()
    };
    if !args.dry_run {
        forecast::print((&client, &session.screen), &into, None).await;
        client.create_collection(&into).await?;
        work::all(&client, &plan, (&into, &session.screen), &mut told).await?;
    }
    if session.screen.is_json() {
        session.screen.json(&told);
    } else {
        session.screen.note(in_words(&told));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(told: &Told) -> String {
    let Told { from, into, .. } = told;
    let (splits, cells) = (count(told.splits_from), count(told.cells));
    if told.dry_run {
        return format!(
            "{splits} splits of {from} make up to {cells} of precision {} in {into}; nothing was \
             written",
            told.precision
        );
    }
    format!(
        "{splits} splits of {from} made {} of precision {} in {into}; {} were there, {} cells hold \
         no valid pixel",
        count(told.stored),
        told.precision,
        count(told.kept),
        count(told.empty),
    )
}

async fn known(client: &Client, name: &str) -> Result<Collection, Fault> {
    let answer = client.collections().await?;
    let found = answer.collections.into_iter().find(|c| c.name == name);
    found.ok_or_else(|| {
        Fault::new(FaultKind::Nothing, format!("no collection '{name}'"))
            .try_("glebe collection list")
    })
}

/// Returns the collection to write; one of that name that is another is refused.
async fn target(client: &Client, from: &Collection, args: &Resplit) -> Result<Collection, Fault> {
    let name = &args.into;
    if !is_name(name) || *name == from.name {
        return Err(
            Fault::new(FaultKind::Usage, format!("--into '{name}' is no new name"))
                .because("names have 1..=120 letters, digits, '-', '_' and '.'")
                .because("splits are never changed in place")
                .try_(format!("--into {}-{}", from.name, args.precision)),
        );
    }
    if args.precision == from.precision {
        return Err(Fault::new(
            FaultKind::Usage,
            format!(
                "{} has cells of precision {} already",
                from.name, args.precision
            ),
        )
        .try_("a greater --precision for deeper cells, a lesser one to merge"));
    }
    let most = from.scheme.precision_max();
    if args.precision > most {
        return Err(Fault::new(
            FaultKind::Usage,
            format!("--precision {} is too deep", args.precision),
        )
        .because(format!("{} has 1..={most} characters", from.scheme)));
    }
    let made = Collection {
        name: name.clone(),
        precision: args.precision,
        ..from.clone()
    };
    let others = client.collections().await?.collections;
    match others.into_iter().find(|c| c.name == made.name) {
        Some(other) if other != made => Err(Fault::new(
            FaultKind::Usage,
            format!("collection {name} is another"),
        )
        .because(format!(
            "it has {} cells of precision {} of {}",
            other.scheme, other.precision, other.dataset
        ))
        .try_("another --into")),
        _ => Ok(made),
    }
}
