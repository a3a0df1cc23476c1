//! `glebe node`, `glebe collection`.
//!
//! *Invariants*: a node is named by the beginning or the end of its id, if that is one node's only.
//!
//! *Not here*: `up`, `cluster` (files of their own).

use std::collections::BTreeMap;
use std::process::ExitCode;

use earth::geocode::Scheme;
use earth::split::collection::{Collection, is_name};
use earth::split::placement::PlacementRule;
use wire::client::Client;
use wire::cluster::{ClusterView, LayoutChange, VersionRange};
use wire::fault::{Fault, FaultKind};
use wire::params::{RebuildParams, RepairParams};

use crate::Done;
use crate::args::{CollectionCreate, CollectionVerb, NodeVerb, Reading, Timed};
use crate::cluster::{owned, state};
use crate::print::{Align, Table, bytes, count, line};
use crate::session::Session;
use crate::{forecast, steer};

/// Default precision of a geohash collection: cells of about 4.9 km (S001 §III).
const GEOHASH_PRECISION: u8 = 5;
/// Default precision of a quad-tile collection: cells of about 9.8 km at the equator.
const QUADTILE_PRECISION: u8 = 12;

pub(crate) async fn node(session: &Session, verb: NodeVerb) -> Done {
    let client = session.client().await?;
    match verb {
        NodeVerb::List => {
            let view = client.cluster().await?;
            if session.screen.is_json() {
                session.screen.json(&view.nodes);
                return Ok(ExitCode::SUCCESS);
            }
            list(&view);
            if let Some(note) = unlike(&view) {
                session.screen.note(note);
            }
            Ok(ExitCode::SUCCESS)
        }
        NodeVerb::Show { id } => {
            let status = client.status().await?;
            let found = status
                .nodes
                .iter()
                .find(|n| n.id.starts_with(&id) || n.id.ends_with(&id));
            let none = || {
                Fault::new(FaultKind::Nothing, format!("no node '{id}'")).try_("glebe node list")
            };
            session.screen.json(found.ok_or_else(none)?);
            Ok(ExitCode::SUCCESS)
        }
        NodeVerb::Repair {
            rebuild_index: false,
            node,
            reading,
        } => repair(session, (&client, node), reading).await,
        NodeVerb::Drain { id, undo, moving } => {
            let node = steer::find(&client.cluster().await?, &id)?.id.clone();
            let change = if undo {
                LayoutChange::Restore { node }
            } else {
                LayoutChange::Drain { node }
            };
            steer::run(session, change, &moving).await
        }
        NodeVerb::Remove {
            id,
            forsake,
            moving,
        } => {
            let node = steer::find(&client.cluster().await?, &id)?.id.clone();
            let change = LayoutChange::Remove { node, forsake };
            steer::run(session, change, &moving).await
        }
        NodeVerb::Repair { reading, .. } => rebuild(session, &client, reading).await,
    }
}

/// Has the node asked remake its index, or say what that would read.
async fn rebuild(session: &Session, client: &Client, reading: Reading) -> Done {
    let dry_run = reading.dry_run;
    let rebuilt = client.rebuild_index(&RebuildParams { dry_run }).await?;
    let objects = rebuilt.objects;
    if dry_run {
        let minutes = reading.minutes(rebuilt.bytes);
        if session.screen.is_json() {
            let told = &rebuilt;
            session.screen.json(&Timed { told, minutes });
        } else {
            line(&format!(
                "would read {} objects in {} slots ({}; {minutes:.1} min at {} MB/s) and remake \
                 their records",
                count(objects),
                count(rebuilt.slots),
                bytes(rebuilt.bytes),
                reading.rate,
            ));
        }
    } else {
        session.screen.note(format!(
            "the index holds {objects} objects, remade from files"
        ));
    }
    if rebuilt.left_out.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let what = if dry_run {
        "not all that is stored can be listed".to_owned()
    } else {
        format!("{} objects are not whole", rebuilt.left_out.len())
    };
    let fault = Fault::new(FaultKind::Data, what).try_("ingest their scenes again");
    Err(rebuilt.left_out.into_iter().fold(fault, Fault::because))
}

async fn repair(
    session: &Session,
    (client, node): (&Client, Option<String>),
    reading: Reading,
) -> Done {
    let dry_run = reading.dry_run;
    let report = client.repair(&RepairParams { node, dry_run }).await?;
    let minutes = reading.minutes(report.bytes);
    if session.screen.is_json() && dry_run {
        let told = &report;
        session.screen.json(&Timed { told, minutes });
    } else if session.screen.is_json() {
        session.screen.json(&report);
    } else if dry_run {
        line(&format!(
            "would read and hash {} objects in {} slots ({}; {minutes:.1} min at {} MB/s), bring \
             back {} that are gone, pull {} that other owners have newer",
            count(report.checked),
            count(report.slots),
            bytes(report.bytes),
            reading.rate,
            count(report.healed),
            count(report.pulled),
        ));
    } else {
        for left in &report.left {
            line(left);
        }
        session.screen.note(format!(
            "{} objects read and hashed ({}), {} healed, {} pulled, {} cannot be healed{}",
            report.checked,
            bytes(report.bytes),
            report.healed,
            report.pulled,
            report.left.len(),
            if report.complete {
                ""
            } else {
                "; not every other owner could be compared with"
            },
        ));
    }
    let code = match (report.left.is_empty(), report.complete) {
        (false, _) => FaultKind::Data.exit_code(),
        (true, false) => FaultKind::Partial.exit_code(),
        (true, true) => 0,
    };
    Ok(ExitCode::from(code))
}

/// Deletes a collection; asks first.
async fn delete(session: &Session, client: &Client, name: &str, dry_run: bool) -> Done {
    let would = client.delete_collection(name, true).await?;
    let what = format!(
        "collection {name}: {} splits, {} a replica",
        would.splits,
        bytes(would.bytes)
    );
    if dry_run {
        if session.screen.is_json() {
            session.screen.json(&would);
        }
        session.screen.note(format!("would delete {what}"));
        return Ok(ExitCode::SUCCESS);
    }
    session.screen.confirm(&format!("delete {what}"))?;
    let deleted = client.delete_collection(name, false).await?;
    if session.screen.is_json() {
        session.screen.json(&deleted);
    }
    session.screen.note(format!("deleted {what}"));
    Ok(ExitCode::SUCCESS)
}

fn list(view: &ClusterView) {
    let columns = ["NODE", "STATE", "ZONE", "HOST", "P2P", "HTTP"].map(|c| (c, Align::Left));
    let numbers = ["WEIGHT", "SLOTS"].map(|c| (c, Align::Right));
    let columns: Vec<_> = columns.into_iter().chain(numbers).collect();
    let mut table = Table::new(&columns);
    for node in &view.nodes {
        table.row([
            node.id.clone(),
            state(view, node),
            node.zone_label.clone().unwrap_or_default(),
            node.host_label.clone().unwrap_or_default(),
            node.p2p.clone(),
            node.http.clone(),
            node.weight.to_string(),
            count(owned(view, node) as u64),
        ]);
    }
    table.print();
}

/// Says which versions nodes exchange, unless all have the same.
fn unlike(view: &ClusterView) -> Option<String> {
    let said = view.nodes.iter().filter_map(|node| {
        let versions = node.versions?;
        let (messages, files) = (versions.messages, versions.files);
        let of = |range: VersionRange| format!("{} to {}", range.least, range.most);
        let text = format!("messages {}, files {}", of(messages), of(files));
        Some((text, &node.id))
    });
    let mut by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (text, node) in said {
        by.entry(text).or_default().push(node.as_str());
    }
    let each = by
        .iter()
        .map(|(text, nodes)| format!("{text}: {}", nodes.join(" ")));
    (by.len() > 1).then(|| {
        let each: Vec<String> = each.collect();
        format!(
            "nodes are being upgraded; they exchange {}",
            each.join("; ")
        )
    })
}

pub(crate) async fn collection(session: &Session, verb: CollectionVerb) -> Done {
    let client = session.client().await?;
    match verb {
        CollectionVerb::List => {
            let answer = client.collections().await?;
            if answer.collections.is_empty() {
                session.screen.none("collections", "glebe ingest PATH");
            }
            if session.screen.is_json() {
                session.screen.json(&answer);
                return Ok(ExitCode::SUCCESS);
            }
            let columns =
                ["NAME", "DATASET", "SCHEME", "PRECISION", "PLACEMENT"].map(|c| (c, Align::Left));
            let mut table = Table::new(&columns);
            for c in answer.collections {
                let placement = format!("{:?}", c.placement);
                let precision = c.precision.to_string();
                table.row([
                    c.name,
                    c.dataset,
                    c.scheme.to_string(),
                    precision,
                    placement,
                ]);
            }
            table.print();
        }
        CollectionVerb::Show { name } => {
            let answer = client.collections().await?;
            let found = answer.collections.iter().find(|c| c.name == name);
            let none = || {
                Fault::new(FaultKind::Nothing, format!("no collection '{name}'"))
                    .try_("glebe collection list")
            };
            session.screen.json(found.ok_or_else(none)?);
        }
        CollectionVerb::Scenes { name, failed } => {
            return crate::scenes::run(session, name.as_deref(), failed).await;
        }
        CollectionVerb::Delete { name, dry_run } => {
            return delete(session, &client, &name, dry_run).await;
        }
        CollectionVerb::Resplit(args) => return crate::resplit::run(session, args).await,
        CollectionVerb::Create(args) => {
            let made = described(&args)?;
            let over = args.over.as_deref().map(forecast::area).transpose()?;
            forecast::print((&client, &session.screen), &made, over).await;
            if args.dry_run {
                return Ok(ExitCode::SUCCESS);
            }
            client.create_collection(&made).await?;
            session.screen.note(format!(
                "collection {}: {} cells of precision {}, placed by {:?}",
                made.name, made.scheme, made.precision, made.placement
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(args: &CollectionCreate) -> Result<Collection, Fault> {
    crate::args::known_dataset(&args.dataset)?;
    if !is_name(&args.name) {
        return Err(
            Fault::new(FaultKind::Usage, format!("'{}' is no name", args.name))
                .because("names have 1..=120 letters, digits, '-', '_', '.'")
                .try_("glebe collection create colorado --dataset sentinel-2-l2a"),
        );
    }
    let scheme = Scheme::from(args.scheme);
    let precision = args.precision.unwrap_or(default_precision(scheme));
    if precision > scheme.precision_max() {
        let max = scheme.precision_max();
        return Err(Fault::new(
            FaultKind::Usage,
            format!("--precision {precision} is too deep"),
        )
        .because(format!("{scheme} has 1..={max} characters")));
    }
    let placement = match (args.first, args.drop_last) {
        (Some(n), _) => PlacementRule::First(n),
        (_, Some(n)) => PlacementRule::DropLast(n),
        _ => PlacementRule::Whole,
    };
    let (name, dataset) = (args.name.clone(), args.dataset.clone());
    Ok(Collection {
        name,
        dataset,
        scheme,
        precision,
        placement,
    })
}

fn default_precision(scheme: Scheme) -> u8 {
    match scheme {
        Scheme::Geohash => GEOHASH_PRECISION,
        Scheme::QuadTile => QUADTILE_PRECISION,
    }
}
