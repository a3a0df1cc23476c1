//! `glebe compose`: one image of several splits of a place, made where they lie.
//!
//! *Invariants*: what was reached is said; a limit that is not reached still leaves the image, and
//! ends with exit code 4; a mosaic of pixels larger than a named number of bytes is refused before
//! any pixel is asked for, one of answers is never held as a whole.
//!
//! *Not here*: which splits and whose pixels (query, earth, node), bytes of formats (`export`).

mod image;
mod map;
mod region;
mod report;
mod spool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use earth::raster::splice::Rule;
use earth::split::compose::Resampling;
use futures::StreamExt as _;
use query::{Query, Range};
use wire::client::ComposeStream;
use wire::compose::{
    CellImage, ComposeEnd, ComposeHeader, ComposeMessage, ComposePlan, ComposeRequest, Predict,
};
use wire::fault::{Fault, FaultKind};
use wire::search::SearchEnd;

use crate::Done;
use crate::args::Compose;
use crate::export::{Existing, Format};
use crate::print::{Progress, Screen};
use crate::search;
use crate::session::Session;
use image::{Decoded, REPORT_ENDING, Set};
use map::Map;
use region::{Layout, Region, Verb};
use report::Summary;

/// Where images go.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    /// All cells in one file; else a file a cell in the folder.
    whole: bool,
    format: Format,
    existing: Existing,
}

pub(crate) async fn run(session: &Session, args: Compose) -> Done {
    let request = request(&args)?;
    let target = args.out.as_deref().map(|p| target(p, &args)).transpose()?;
    made(session, request, target).await
}

/// Has the models of a run answer for the newest split of each cell, where those lie, and writes
/// one image of the answers.
pub(crate) async fn predicted(
    session: &Session,
    (query, predict): (Query, Predict),
    (out, existing): (&Path, Existing),
) -> Done {
    let request = ComposeRequest {
        query,
        rule: Rule::Newest,
        min_coverage: 0.0,
        max_cloud: None,
        window_days: None,
        bands: Vec::new(),
        resolution_m: None,
        resampling: Resampling::default(),
        predict: Some(predict),
        dry_run: false,
    };
    let target = Target {
        path: out.to_owned(),
        whole: true,
        format: Format::Cog,
        existing,
    };
    made(session, request, Some(target)).await
}

/// Has images made and writes them.
async fn made(session: &Session, request: ComposeRequest, target: Option<Target>) -> Done {
    if let Some(target) = target.as_ref().filter(|_| !request.dry_run) {
        image::check_free(target)?;
    }
    let client = session.client().await?;
    let mut messages = client.compose(&request).await?;
    let ComposeHeader::Plan(plan) = next(&mut messages).await?.header else {
        return Err(senseless());
    };
    if let Some(words) = request.predict.as_ref().and_then(|_| map::told(&plan)) {
        session.screen.note(words);
    }
    let limits = (request.min_coverage, request.max_cloud);
    let mut summary = Summary::new(&plan, request.rule, limits)?;
    let end = match target {
        Some(target) if !request.dry_run => {
            let area = request.query.bbox.filter(|_| target.whole);
            let verb = match request.predict {
                Some(_) => Verb::Predict,
                None => Verb::Compose,
            };
            let mut writer = Writer::new(&plan, target, (area.as_ref(), verb))?;
            writer.answerer = request.predict.as_ref().and_then(answerer);
            writer
                .run(session, (&plan, &mut messages), &mut summary)
                .await?
        }
        _ => {
            report::plan(&session.screen, &plan);
            end(&mut messages).await?
        }
    };
    if !request.dry_run && !plan.cells.is_empty() {
        summary.print(&session.screen, &end);
    }
    if request.predict.is_some() {
        if let Some(words) = region::told(&plan) {
            session.screen.note(words);
        }
        summary.say_who_answered(&session.screen, &end);
    }
    Ok(conclude(
        &session.screen,
        (&plan, &summary),
        (&end, request.dry_run),
    ))
}

/// Builds the request; the limits are taken out of the selectors.
fn request(args: &Compose) -> Result<ComposeRequest, Fault> {
    let selectors = args.selectors.query()?;
    let query = Query {
        cloud: Range {
            min: selectors.cloud.min,
            max: None,
        },
        coverage: Range {
            min: None,
            max: selectors.coverage.max,
        },
        ..selectors.clone()
    };
    if query == Query::default() {
        return Err(Fault::new(FaultKind::Usage, "nothing to compose")
            .because("no selector was given")
            .try_("--dataset naip --geocode 9xjq8, or --bbox W,S,E,N"));
    }
    Ok(ComposeRequest {
        query,
        rule: args.rule,
        min_coverage: selectors.coverage.min.unwrap_or(100.0),
        max_cloud: selectors.cloud.max,
        window_days: args.window,
        bands: args.bands.clone(),
        resolution_m: args.resolution,
        resampling: args.resampling,
        predict: None,
        dry_run: args.dry_run,
    })
}

/// A name with an extension is a file of all cells, another is a folder; a Zarr cube is a folder
/// itself.
fn target(path: &Path, args: &Compose) -> Result<Target, Fault> {
    let of_name = Format::of(path);
    let whole = of_name.is_some() && (!path.is_dir() || of_name == Some(Format::Zarr));
    if !whole && path.extension().is_some() && !path.is_dir() {
        let what = format!("{} names no format", path.display());
        return Err(Fault::new(FaultKind::Usage, what)
            .because("a file's extension says its format; a folder has none")
            .try_("-O FILE.tif, -O FILE.npz, or -O DIR"));
    }
    let format = match (args.format, of_name.filter(|_| whole)) {
        (Some(asked), Some(named)) if asked != named => {
            let what = format!("{} is no name for --format {asked:?}", path.display());
            return Err(Fault::new(FaultKind::Usage, what.to_lowercase())
                .try_("another name, or another --format"));
        }
        (asked, named) => asked.or(named).unwrap_or(Format::Cog),
    };
    Ok(Target {
        path: path.to_owned(),
        whole,
        format,
        existing: if args.overwrite {
            Existing::Replace
        } else {
            Existing::Keep
        },
    })
}

async fn next(messages: &mut ComposeStream) -> Result<ComposeMessage, Fault> {
    messages.next().await.unwrap_or_else(|| Err(senseless()))
}

/// Reads on to the end.
async fn end(messages: &mut ComposeStream) -> Result<ComposeEnd, Fault> {
    loop {
        if let ComposeHeader::End(end) = next(messages).await?.header {
            return Ok(end);
        }
    }
}

/// Returns the name of the model that alone is to answer, if one is.
fn answerer(predict: &Predict) -> Option<String> {
    let geocode = predict.geocode.as_ref()?;
    Some(format!("{}/{geocode}", predict.run))
}

/// Refuses an answer of another model: a node that knows no such wish has all of the run answer.
fn check_answerer(one: &str, image: &CellImage) -> Result<(), Fault> {
    let by = image.report.predicted.as_ref().map(|p| p.model.as_str());
    if by == Some(one) {
        return Ok(());
    }
    let what = format!("{one} was to answer for {}", image.report.geocode);
    Err(Fault::new(FaultKind::Refused, what)
        .because(format!("{} did", by.unwrap_or("no model")))
        .try_("the latest glebe on all nodes; glebe node list tells what each speaks"))
}

fn senseless() -> Fault {
    Fault::new(FaultKind::Unreachable, "the node's answer makes no sense")
        .because("messages came in another order than they must")
        .try_("glebe --version on both sides")
}

/// The raster that all cells are placed in.
enum InOne {
    /// In memory, for any format.
    Region(Region),
    /// On disk: models may answer for more than memory holds.
    Map(Map),
}

/// Takes images in as they come.
struct Writer {
    target: Target,
    /// The raster that all cells are placed in, for a file.
    raster: Option<InOne>,
    /// The one model that may answer, where one was named.
    answerer: Option<String>,
}

impl Writer {
    fn new(
        plan: &ComposePlan,
        target: Target,
        (area, verb): (Option<&earth::extent::LonLatBox>, Verb),
    ) -> Result<Self, Fault> {
        let raster = if target.whole && !plan.cells.is_empty() {
            let layout = Layout::new(plan, area, verb)?;
            Some(match verb {
                Verb::Compose => InOne::Region(Region::new(layout)?),
                Verb::Predict => InOne::Map(Map::new(layout, &target.path)?),
            })
        } else {
            None
        };
        Ok(Self {
            target,
            raster,
            answerer: None,
        })
    }

    async fn run(
        mut self,
        session: &Session,
        (plan, messages): (&ComposePlan, &mut ComposeStream),
        summary: &mut Summary,
    ) -> Result<ComposeEnd, Fault> {
        let mut progress = Progress::new(&session.screen, plan.cells.len() as u64, "cells");
        let mut done = 0;
        let end = loop {
            let message = next(messages).await?;
            match message.header {
                ComposeHeader::Cell(image) => {
                    let files = message.files;
                    tokio::task::block_in_place(|| self.take(*image, &files, summary))?;
                    done += 1;
                    progress.set(done, "");
                }
                ComposeHeader::End(end) => break end,
                ComposeHeader::Plan(_) => return Err(senseless()),
            }
        };
        progress.finish();
        if let Some(raster) = self.raster.take().filter(|_| done > 0) {
            tokio::task::block_in_place(|| self.finish(raster, (summary, &end)))?;
        }
        Ok(end)
    }

    /// Writes the raster of all cells, with what was reached.
    fn finish(
        &self,
        raster: InOne,
        (summary, end): (&mut Summary, &ComposeEnd),
    ) -> Result<(), Fault> {
        let existing = self.target.existing;
        let set = match raster {
            InOne::Region(region) => {
                summary.area(region.coverage());
                Set::of(&region.finish()?, &self.target.path, &self.target)?
            }
            InOne::Map(map) => {
                summary.area(map.coverage());
                map.finish(existing)?
            }
        };
        summary.wrote(set.files());
        let report = image::beside(&self.target.path, REPORT_ENDING);
        set.place(summary.stage(&report, (existing, end))?)
    }

    /// Takes one cell's image in.
    fn take(
        &mut self,
        image: CellImage,
        files: &[bytes::Bytes],
        summary: &mut Summary,
    ) -> Result<(), Fault> {
        if let Some(one) = &self.answerer {
            check_answerer(one, &image)?;
        }
        let number = |part: &_| summary.scene_of(part);
        match &mut self.raster {
            Some(InOne::Map(map)) => map.place((&image, files), number)?,
            Some(InOne::Region(region)) => {
                region.place(&image, &Decoded::of(&image, files)?, number)?;
            }
            None => return self.write_cell(image, files, summary),
        }
        summary.cell(image.report);
        Ok(())
    }

    /// Writes one cell's image into a file of its own.
    fn write_cell(
        &self,
        image: CellImage,
        files: &[bytes::Bytes],
        summary: &mut Summary,
    ) -> Result<(), Fault> {
        let decoded = Decoded::of(&image, files)?;
        let name = format!(
            "{}.{}",
            image.report.geocode,
            self.target.format.extension()
        );
        let path = self.target.path.join(name);
        let cubes = decoded.into_cubes(&image)?;
        let set = Set::of(&cubes, &path, &self.target)?;
        summary.wrote(set.files());
        let report = image::beside(&path, REPORT_ENDING);
        set.place(report::stage_cell(
            &report,
            &image.report,
            self.target.existing,
        )?)?;
        summary.cell(image.report);
        Ok(())
    }
}

/// Says what is missing, and returns the exit code.
fn conclude(
    screen: &Screen,
    (plan, summary): (&ComposePlan, &Summary),
    (end, dry_run): (&ComposeEnd, bool),
) -> ExitCode {
    let found = SearchEnd {
        hits: plan.cells.len() as u64,
        complete: end.missing_slots.is_empty(),
        missing_slots: end.missing_slots.clone(),
        slots_asked: end.slots_asked,
        empty: end.empty.clone(),
        ..SearchEnd::default()
    };
    for failure in &end.failed {
        let Fault { what, because, .. } = &failure.fault;
        let why = because.join("; ");
        crate::print::to_stderr(&format!("failed: {}: {what}", failure.geocode));
        if !why.is_empty() {
            crate::print::to_stderr(&format!("  because {why}"));
        }
    }
    let code = search::conclude(screen, &found);
    if code != ExitCode::SUCCESS || dry_run {
        return code;
    }
    if end.reached && end.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    summary.say_what_is_not_reached();
    ExitCode::from(FaultKind::Partial.exit_code())
}
