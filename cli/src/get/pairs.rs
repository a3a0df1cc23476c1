//! `glebe get --pairs`: cloudy splits and clear ones in two folders, under the same names.
//!
//! Laid out as `cloudy/NAME…`, `clear/NAME…`, where NAME is the cloudy split's, and `pairs.ndjson`
//! that says which splits these are: the training set of networks that take clouds away.
//!
//! *Invariants*: both folders hold the same names; the list is written last.
//!
//! *Not here*: finding pairs (`crate::pairs`).

use std::path::PathBuf;
use std::process::ExitCode;

use query::Query;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use super::wrangle::{Asked, Single};
use crate::Done;
use crate::args::Get;
use crate::export::{self, Existing, Format};
use crate::get::report::{Made, Report};
use crate::get::{files, stem};
use crate::pairs::{days_apart, say, stream};
use crate::search;
use crate::session::Session;

/// Most pairs of one command: their descriptions stay below two gigabytes.
const PAIRS_MAX: usize = 200_000;

pub(super) async fn get(session: &Session, query: Query, args: &Get) -> Done {
    check(args)?;
    let asked = Asked::new(args)?;
    let client = session.client().await?;
    let mut pairs: Vec<(Hit, Hit)> = Vec::new();
    let mut more = 0_usize;
    let rule = args.pairs.rule()?;
    let found = stream(&client, (query, rule), |cloudy, clear| {
        if pairs.len() < PAIRS_MAX {
            pairs.push((cloudy.clone(), clear.clone()));
        } else {
            more += 1;
        }
    });
    let (end, tally) = found.await?;
    if more > 0 {
        let what = format!("{} pairs are too many at once", pairs.len() + more);
        return Err(Fault::new(FaultKind::Usage, what)
            .because(format!("{PAIRS_MAX} at most"))
            .try_("--geocode or --datetime, to take them in parts"));
    }
    let mut report = Report::new(&session.screen, pairs.len() * 2);
    let mut layout = Layout {
        client: &client,
        args,
        single: Single::new(&client, &asked),
        lines: String::new(),
    };
    for (cloudy, clear) in &pairs {
        match layout.pair(cloudy, clear).await {
            Ok(made) => {
                let files = made.files.clone();
                report.made(made, &files);
            }
            Err(fault) if fault.kind == FaultKind::Usage => return Err(fault),
            Err(fault) => {
                report.failed(vec![cloudy.id.to_string(), clear.id.to_string()], fault)?;
            }
        }
    }
    if !pairs.is_empty() {
        layout.list()?;
    }
    let code = report.finish();
    say(&session.screen, &tally);
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    if pairs.is_empty() && end.complete {
        return Ok(ExitCode::from(FaultKind::Nothing.exit_code()));
    }
    Ok(search::conclude(&session.screen, &end))
}

fn check(args: &Get) -> Result<(), Fault> {
    let refuse = |what: &str, why: &str, instead: &str| {
        Err(Fault::new(FaultKind::Usage, what)
            .because(why)
            .try_(instead))
    };
    if args.wrangle.cube || !args.wrangle.with.is_empty() {
        let why = "a pair is two dates of one sensor";
        return refuse(
            "--pairs makes no cubes and takes no --with",
            why,
            "one of them",
        );
    }
    if Format::of(&args.out).is_some() {
        let why = "pairs are many files, in cloudy/ and clear/";
        return refuse("-O names a file", why, "-O with a folder, and --format");
    }
    Ok(())
}

struct Layout<'a> {
    client: &'a Client,
    args: &'a Get,
    single: Single<'a>,
    /// `pairs.ndjson` so far.
    lines: String,
}

impl Layout<'_> {
    async fn pair(&mut self, cloudy: &Hit, clear: &Hit) -> Result<Made, Fault> {
        let name = stem(cloudy);
        let first = self.put(cloudy, ("cloudy", &name)).await?;
        let second = self.put(clear, ("clear", &name)).await?;
        let said = serde_json::json!({
            "name": name,
            "geocode": cloudy.geocode,
            "collection": cloudy.collection,
            "cloudy": {"id": cloudy.id, "acquired": cloudy.acquired,
                       "cloud_cover": cloudy.cloud_cover, "files": relative(&first, self.args)},
            "clear": {"id": clear.id, "acquired": clear.acquired,
                      "cloud_cover": clear.cloud_cover, "files": relative(&second, self.args)},
            "days_apart": days_apart(cloudy, clear),
        });
        self.lines += &format!("{said}\n");
        let mut made = first;
        made.splits.extend(second.splits);
        made.files.extend(second.files);
        made.bytes += second.bytes;
        Ok(made)
    }

    /// Writes one split of a pair into a folder, under the pair's name.
    async fn put(&mut self, hit: &Hit, (folder, name): (&str, &str)) -> Result<Made, Fault> {
        let folder = self.args.out.join(folder);
        let splits = vec![hit.id.to_string()];
        let changed = self.args.wrangle.flag().is_some() || !self.args.bands.is_empty();
        let format = { self.args.format.export() }.or(changed.then_some(Format::Cog));
        let Some(format) = format else {
            let into = folder.join(name);
            let bytes = files::split(self.client, hit, &into, self.args.overwrite).await?;
            let files = hit.assets.keys().map(|asset| into.join(asset)).collect();
            return Ok(Made {
                splits,
                format: "split".to_owned(),
                files,
                bytes,
            });
        };
        let cube = self.single.cube(hit).await?;
        let cube = if self.args.physical {
            cube.to_physical()
        } else {
            cube
        };
        let target = folder.join(format!("{name}.{}", format.extension()));
        let existing = self.existing();
        let write = || export::write(&cube, &target, format, existing);
        let written = tokio::task::block_in_place(write)?;
        Ok(Made {
            splits,
            format: format!("{format:?}").to_lowercase(),
            files: written.files,
            bytes: written.bytes,
        })
    }

    fn existing(&self) -> Existing {
        if self.args.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        }
    }

    /// Writes `pairs.ndjson`.
    fn list(&self) -> Result<(), Fault> {
        let target = self.args.out.join("pairs.ndjson");
        export::whole_file(&target, Existing::Replace, self.lines.as_bytes()).map(drop)
    }
}

/// Returns files relative to the folder that holds the list.
fn relative(made: &Made, args: &Get) -> Vec<PathBuf> {
    let short = |path: &PathBuf| path.strip_prefix(&args.out).unwrap_or(path).to_owned();
    made.files.iter().map(short).collect()
}
