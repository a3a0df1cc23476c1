//! How evenly a collection's cells will lie on the cluster's nodes.
//!
//! *Invariants*: the same SHA-1 and the same layout as placement itself; nothing is changed.
//!
//! *Not here*: evening out what is stored (`steer`).

use std::collections::BTreeSet;

use earth::split::collection::Collection;
use earth::split::placement::PlacementRule;
use wire::client::Client;
use wire::cluster::{Expected, LayoutChange};
use wire::fault::{Fault, FaultKind};

use crate::print::Screen;
use crate::session::Session;

/// The contiguous United States, the area of the paper's own table (S001 Table II).
pub(crate) const CONUS: [f64; 4] = [-124.8, 24.4, -66.9, 49.4];
/// From here on it is worth saying how bounded loads are had.
pub(crate) const UNEVEN: f64 = 1.10;

/// Returns what a collection expects to hold in an area, at a precision that can be counted.
pub(crate) fn expected(collection: &Collection, over: Option<[f64; 4]>) -> Expected {
    let hashed = collection.placement.length(collection.precision);
    Expected {
        scheme: collection.scheme,
        // Cells with one placement key lie together: it is enough to count the keys, which are
        // the cells of the precision that is hashed.
        precision: hashed.max(1),
        placement: PlacementRule::Whole,
        over: over.unwrap_or(CONUS),
    }
}

/// Parses `W,S,E,N`.
pub(crate) fn area(text: &str) -> Result<[f64; 4], Fault> {
    let wrong = || {
        Fault::new(FaultKind::Usage, format!("'{text}' is no area"))
            .because("it takes west, south, east and north in degrees")
            .try_("--over -124.8,24.4,-66.9,49.4")
    };
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|n| n.try_into().ok())
        .ok_or_else(wrong)
}

/// The collections of a cluster before a command that may make others.
pub(crate) struct Before(BTreeSet<String>);

impl Before {
    /// Looks; none in a folder, where all lies on one node.
    pub(crate) async fn look(session: &Session) -> Option<Self> {
        session.settings.cluster.value.as_ref()?;
        let collections = session.client().await.ok()?.collections().await.ok()?;
        let names = collections.collections.into_iter();
        Some(Self(names.map(|collection| collection.name).collect()))
    }

    /// Says how evenly those will lie that have been made since.
    pub(crate) async fn print(self, session: &Session) {
        let Ok(client) = session.client().await else {
            return;
        };
        let now = client.collections().await;
        let now = now.map(|now| now.collections).unwrap_or_default();
        for made in now {
            if !self.0.contains(&made.name) {
                print((&client, &session.screen), &made, None).await;
            }
        }
    }
}

/// Says how evenly the collection will lie, as far as that can be told.
pub(crate) async fn print(
    (client, screen): (&Client, &Screen),
    collection: &Collection,
    over: Option<[f64; 4]>,
) {
    if !client
        .cluster()
        .await
        .is_ok_and(|view| view.nodes.len() > 1)
    {
        // On one node all lies evenly.
        return;
    }
    let mut cells = expected(collection, over);
    let keys = cells.precision;
    let place = if over.is_some() {
        "the area"
    } else {
        "the contiguous US"
    };
    loop {
        let change = LayoutChange::Rebalance {
            expect: Some(cells.clone()),
        };
        match client.plan_layout(&change).await {
            Ok(plan) => {
                let (was, is) = (plan.before, plan.after);
                let most = if cells.precision < keys {
                    "at most "
                } else {
                    ""
                };
                screen.note(format!(
                    "forecast over {place}: CV {most}{:.2} %, max/mean {most}{:.2} by this rule",
                    was.cv, was.max_over_mean
                ));
                if was.max_over_mean > UNEVEN {
                    screen.note(format!(
                        "glebe cluster rebalance --expect {} would make that {:.2}",
                        collection.name, is.max_over_mean
                    ));
                }
                return;
            }
            // Too many cells to count: more of them only lie more evenly.
            Err(_) if cells.precision > 1 => cells.precision -= 1,
            Err(fault) => {
                screen.detail(format!("no forecast: {}", fault.what));
                return;
            }
        }
    }
}
