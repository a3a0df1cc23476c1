//! `glebe node`, `glebe collection`, `glebe cluster`.
//!
//! *Invariants*: `cluster verify` exits 0 only when every object is on its owners with the right
//! bytes.
//!
//! *Not here*: `up` (its own file).

use std::process::ExitCode;

use earth::geocode::Scheme;
use earth::split::collection::{Collection, is_name};
use earth::split::placement::PlacementRule;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::{ClusterVerb, CollectionCreate, CollectionVerb, NodeVerb};
use crate::print::{Align, Table, bytes, line};
use crate::session::Session;

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
            let columns = ["NODE", "STATE", "P2P", "HTTP", "HOST"].map(|c| (c, Align::Left));
            let mut table = Table::new(&columns);
            for node in view.nodes {
                let state = format!("{:?}", node.state).to_lowercase();
                let host = node.host_label.unwrap_or_default();
                table.row([node.id, state, node.p2p, node.http, host]);
            }
            table.print();
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
        } => repair(session, &client, node.as_deref()).await,
        NodeVerb::Repair { .. } => {
            let rebuilt = client.rebuild_index().await?;
            let objects = rebuilt.objects;
            session.screen.note(format!(
                "the index holds {objects} objects, remade from files"
            ));
            if rebuilt.left_out.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            let what = format!("{} objects are not whole", rebuilt.left_out.len());
            let fault = Fault::new(FaultKind::Data, what).try_("ingest their scenes again");
            Err(rebuilt.left_out.into_iter().fold(fault, Fault::because))
        }
    }
}

async fn repair(session: &Session, client: &Client, node: Option<&str>) -> Done {
    let report = client.repair(node).await?;
    if session.screen.is_json() {
        session.screen.json(&report);
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

/// Deletes a collection; asks first where somebody can answer.
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

pub(crate) async fn collection(session: &Session, verb: CollectionVerb) -> Done {
    let client = session.client().await?;
    match verb {
        CollectionVerb::List => {
            let answer = client.collections().await?;
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

pub(crate) async fn cluster(session: &Session, verb: ClusterVerb) -> Done {
    match verb {
        ClusterVerb::Token(args) => crate::token::run(session, args).await,
        ClusterVerb::Show => show(session).await,
        ClusterVerb::Verify => verify(session).await,
    }
}

async fn show(session: &Session) -> Done {
    let view = session.client().await?.cluster().await?;
    if session.screen.is_json() {
        session.screen.json(&view);
        return Ok(ExitCode::SUCCESS);
    }
    line(&format!(
        "layout {} (from {})   replicas {}   slots {}",
        view.version,
        view.parent,
        view.replicas,
        view.slots.len()
    ));
    let columns = [
        ("NODE", Align::Left),
        ("STATE", Align::Left),
        ("PRIMARY", Align::Right),
        ("OWNED", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for (index, node) in (0_u16..).zip(&view.nodes) {
        let primary = view
            .slots
            .iter()
            .filter(|o| o.first() == Some(&index))
            .count();
        let owned = view.slots.iter().filter(|o| o.contains(&index)).count();
        let state = format!("{:?}", node.state).to_lowercase();
        table.row([
            node.id.clone(),
            state,
            primary.to_string(),
            owned.to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

async fn verify(session: &Session) -> Done {
    let report = session.client().await?.verify().await?;
    if session.screen.is_json() {
        session.screen.json(&report);
    } else {
        for problem in &report.problems {
            line(problem);
        }
        session.screen.note(format!(
            "{} objects, {} replicas read and hashed, {} problems{}",
            report.objects,
            report.replicas_checked,
            report.problems_total,
            if report.complete {
                ""
            } else {
                "; not every node answered"
            },
        ));
    }
    if !report.complete {
        return Ok(ExitCode::from(FaultKind::Partial.exit_code()));
    }
    let sound = report.problems_total == 0;
    Ok(ExitCode::from(if sound {
        0
    } else {
        FaultKind::Data.exit_code()
    }))
}
