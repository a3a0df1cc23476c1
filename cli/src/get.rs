//! `glebe get`: splits as folders of GeoTIFFs.
//!
//! *Invariants*: a file appears under its name only when it is whole and its hash is right.
//!
//! *Not here*: which split lies where (node).

use std::path::Path;
use std::process::ExitCode;

use query::Query;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::Done;
use crate::args::Get;
use crate::print::{Progress, bytes, line};
use crate::session::Session;
use crate::{download, search};

pub(crate) async fn run(session: &Session, args: Get) -> Done {
    let query = query(&args)?;
    let wanted = query.ids.len();
    let client = session.client().await?;
    let (hits, end) = search::collect(&client, query).await?;
    let mut progress = Progress::new(&session.screen, hits.len() as u64, "splits");
    let mut total = 0;
    for (done, hit) in (1_u64..).zip(&hits) {
        total += split(&client, hit, &args.out).await?;
        progress.set(done, &bytes(total));
        if session.screen.is_json() {
            session.screen.json(hit);
        } else {
            line(&args.out.join(folder(hit)).display().to_string());
        }
    }
    progress.finish();
    if !hits.is_empty() {
        session
            .screen
            .note(format!("{} splits, {}", hits.len(), bytes(total)));
    }
    if end.complete && wanted > hits.len() {
        let found: std::collections::BTreeSet<_> = hits.iter().map(|h| h.id.as_str()).collect();
        let lost = args.ids.iter().filter(|id| !found.contains(id.as_str()));
        session.screen.note(format!(
            "not there: {}",
            lost.cloned().collect::<Vec<_>>().join(" ")
        ));
        return Ok(ExitCode::from(FaultKind::Nothing.exit_code()));
    }
    Ok(search::conclude(&session.screen, &end))
}

fn query(args: &Get) -> Result<Query, Fault> {
    let mut query = args.selectors.query()?;
    query.ids = if args.ids == ["-"] {
        std::io::stdin()
            .lines()
            .map_while(Result::ok)
            .filter(|l| !l.is_empty())
            .collect()
    } else {
        args.ids.clone()
    };
    for id in &query.ids {
        earth::split::meta::SplitId::parse(id)
            .map_err(|e| Fault::new(FaultKind::Usage, e.to_string()).try_("glebe search -o id"))?;
    }
    if query == Query::default() {
        return Err(Fault::new(FaultKind::Usage, "nothing to get")
            .because("neither an id nor a selector was given")
            .try_("glebe get ID -O DIR, or --geocode 9xj"));
    }
    Ok(query)
}

fn folder(hit: &Hit) -> String {
    hit.id.as_str().replace('/', "+")
}

/// Downloads one split into its own folder; returns its bytes.
async fn split(client: &Client, hit: &Hit, out: &Path) -> Result<u64, Fault> {
    let mut total = 0;
    for (name, asset) in &hit.assets {
        let stream = client.asset(&hit.id, name).await?;
        total += download::file(stream, &out.join(folder(hit)), name, &asset.blake3).await?;
    }
    Ok(total)
}
