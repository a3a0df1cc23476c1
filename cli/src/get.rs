//! `glebe get`: splits as their own files, or written as another format.
//!
//! *Invariants*: a file appears under its name only when it is whole; what is there already stays
//! unless it is the same or `--overwrite` is given; what fails is said, and the rest goes on.
//!
//! *Not here*: which split lies where (node), bytes of formats (`export`).

mod convert;
mod files;
mod pairs;
mod pictures;
mod report;
pub(crate) mod slices;
mod wrangle;

use std::process::ExitCode;

use query::Query;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::search::SearchEnd;

use crate::Done;
use crate::args::Get;
use crate::export::Format;
use crate::get::report::Report;
use crate::search;
use crate::session::Session;

pub(crate) async fn run(session: &Session, args: Get) -> Done {
    let query = query(&args)?;
    check(&args)?;
    if args.pairs.wanted {
        return pairs::get(session, query, &args).await;
    }
    let client = session.client().await?;
    let time = query.time;
    let (hits, end) = search::collect(&client, query).await?;
    let mut report = Report::new(&session.screen, hits.len());
    match args.format.export() {
        _ if args.wrangle.flag().is_some() => {
            let told = (&mut report, &session.screen);
            wrangle::get(&client, &hits, (&args, time), told).await?;
        }
        None => files::get(&client, &hits, &args, &mut report).await?,
        Some(Format::Png) => pictures::get(&client, &hits, &args, &mut report).await?,
        Some(format) => convert::get(&client, &hits, (&args, format), &mut report).await?,
    }
    let code = report.finish();
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    Ok(absent(session, &args, &hits, &end)
        .unwrap_or_else(|| search::conclude(&session.screen, &end)))
}

/// Refuses flags that change pixels where files are taken as they are.
fn check(args: &Get) -> Result<(), Fault> {
    if args.wrangle.with.is_empty() && !args.pairs.wanted {
        args.pairs.alone()?;
    }
    if args.wrangle.flag().is_some() || args.pairs.wanted {
        return wrangle::check(args);
    }
    let changed = if args.bands.is_empty() {
        args.physical.then_some("--physical")
    } else {
        Some("--bands")
    };
    match (changed, args.format.export()) {
        (Some(flag), None) => {
            let what = format!("{flag} needs another --format than split");
            Err(Fault::new(FaultKind::Usage, what)
                .because("a split's own files are sealed and are taken as they are")
                .try_(format!("{flag} with --format cog")))
        }
        _ => Ok(()),
    }
}

/// Says which ids of those asked for are not there.
fn absent(session: &Session, args: &Get, hits: &[Hit], end: &SearchEnd) -> Option<ExitCode> {
    let found: std::collections::BTreeSet<_> = hits.iter().map(|h| h.id.as_str()).collect();
    let asked = args.ids.iter().filter(|id| *id != "-");
    let lost: Vec<_> = asked
        .filter(|id| !found.contains(id.as_str()))
        .cloned()
        .collect();
    if lost.is_empty() || !end.complete {
        return None;
    }
    session
        .screen
        .note(format!("not there: {}", lost.join(" ")));
    Some(ExitCode::from(FaultKind::Nothing.exit_code()))
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

/// Returns the name of a split's folder and files: its id with `+` for the slash.
fn stem(hit: &Hit) -> String {
    hit.id.as_str().replace('/', "+")
}
