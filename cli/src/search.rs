//! `glebe search`: hits as a table, JSON, CSV, GeoJSON or ids.
//!
//! *Invariants*: rows are printed as they come; an empty answer says why and exits 1; a partial one
//! names the missing slots and exits 4.
//!
//! *Not here*: evaluation (query, node).

mod pairs;

use std::process::ExitCode;

use futures::StreamExt as _;
use query::Query;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::search::{SearchEnd, SearchLine, SearchRequest};

use crate::Done;
use crate::args::{Output, SearchArgs};
use crate::print::{Align, Screen, Table, count, line};
use crate::session::Session;

/// Rows of a table that are held back to be aligned; wider answers belong in ndjson or csv.
const TABLE_ROWS_MAX: usize = 100_000;
/// Missing slots named on stderr; the rest is counted.
const SLOTS_NAMED_MAX: usize = 12;

pub(crate) async fn run(session: &Session, args: SearchArgs) -> Done {
    let query = args.selectors.query()?;
    if args.pairs.wanted {
        return pairs::run(session, (query, args.pairs.rule()?)).await;
    }
    args.pairs.alone()?;
    let client = session.client().await?;
    let mut printer = Printer::new(&session.screen);
    let end = stream(&client, query, |hit| printer.hit(&hit)).await?;
    printer.end(&end);
    if args.explain {
        explain(&session.screen, &end);
    }
    Ok(conclude(&session.screen, &end))
}

/// Sends a query and hands each hit on; returns what is known at the end.
pub(crate) async fn stream(
    client: &Client,
    query: Query,
    mut take: impl FnMut(Hit),
) -> Result<SearchEnd, Fault> {
    let mut lines = std::pin::pin!(client.search(&SearchRequest { query }).await?);
    while let Some(next) = lines.next().await {
        match next? {
            SearchLine::Hit(hit) => take(*hit),
            SearchLine::End(end) => return Ok(end),
        }
    }
    Err(Fault::new(FaultKind::Unreachable, "the answer was cut off")
        .because("the node ended the stream before its last line")
        .try_("the same command again"))
}

/// Sends a query and collects its hits; refuses an empty or partial answer.
pub(crate) async fn collect(client: &Client, query: Query) -> Result<(Vec<Hit>, SearchEnd), Fault> {
    let mut hits = Vec::new();
    let end = stream(client, query, |hit| hits.push(hit)).await?;
    Ok((hits, end))
}

/// Says on stderr what an answer lacks, and returns its exit code.
pub(crate) fn conclude(screen: &Screen, end: &SearchEnd) -> ExitCode {
    if !end.complete {
        crate::print::to_stderr(&format!("partial: {}", missing(end)));
        return ExitCode::from(FaultKind::Partial.exit_code());
    }
    if end.hits > 0 {
        return ExitCode::SUCCESS;
    }
    screen.note(why_empty(end));
    ExitCode::from(FaultKind::Nothing.exit_code())
}

/// Returns which slots nobody could answer for.
pub(crate) fn missing(end: &SearchEnd) -> String {
    let named: Vec<_> = end
        .missing_slots
        .iter()
        .take(SLOTS_NAMED_MAX)
        .map(ToString::to_string)
        .collect();
    let rest = end.missing_slots.len().saturating_sub(named.len());
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!(
        "no live owner of {} of {} slots asked ({}{more}); what is shown may lack splits",
        end.missing_slots.len(),
        end.slots_asked,
        named.join(", ")
    )
}

fn why_empty(end: &SearchEnd) -> String {
    let Some(empty) = &end.empty else {
        return "0 splits match".to_owned();
    };
    if empty.splits == 0 {
        return "0 splits: the store is empty. try: glebe ingest PATH".to_owned();
    }
    let mut text = format!("0 splits match, of {}.", count(empty.splits));
    if let Some(predicate) = &empty.predicate {
        let others = count(empty.others_match);
        text += &format!(" {others} match all but {predicate}.");
    }
    if let (Some(predicate), Some(nearest)) = (&empty.predicate, &empty.nearest) {
        text += &format!(" try: {predicate} {nearest}");
    }
    text
}

fn explain(screen: &Screen, end: &SearchEnd) {
    let version = end.layout_version;
    screen.note(format!(
        "asked for {} slots of layout {version}",
        end.slots_asked
    ));
    for asked in &end.asked {
        let error = asked
            .error
            .as_ref()
            .map(|e| format!("  failed: {e}"))
            .unwrap_or_default();
        screen.note(format!(
            "node {}  slots {}  index {}  rows estimated {} read {}  hits {}  {:.1} ms{error}",
            asked.node,
            asked.slots,
            asked.index,
            asked.rows_estimated,
            asked.rows_read,
            asked.hits,
            asked.millis,
        ));
    }
}

/// Prints hits in the asked format.
#[derive(Debug)]
struct Printer {
    output: Output,
    note: Screen,
    rows: Vec<Hit>,
    printed: u64,
}

impl Printer {
    fn new(screen: &Screen) -> Self {
        Self {
            output: screen.output,
            note: screen.clone(),
            rows: Vec::new(),
            printed: 0,
        }
    }

    fn hit(&mut self, hit: &Hit) {
        match self.output {
            Output::Table if self.rows.len() < TABLE_ROWS_MAX => self.rows.push(hit.clone()),
            Output::Table | Output::Id => line(hit.id.as_str()),
            Output::Json => {
                line(if self.printed == 0 {
                    "{\"hits\":["
                } else {
                    ","
                });
                line(&json(hit));
            }
            Output::Ndjson => line(&json(hit)),
            Output::Csv => {
                if self.printed == 0 {
                    line(CSV_HEAD);
                }
                line(&csv(hit));
            }
            Output::Geojson => {
                let head = "{\"type\":\"FeatureCollection\",\"features\":[";
                line(if self.printed == 0 { head } else { "," });
                line(&feature(hit).to_string());
            }
        }
        self.printed += 1;
    }

    fn end(&mut self, end: &SearchEnd) {
        match self.output {
            Output::Table => self.table(end),
            Output::Json => {
                if self.printed == 0 {
                    line("{\"hits\":[");
                }
                line(&format!("],\n\"end\":{}}}", json(end)));
            }
            Output::Geojson => {
                if self.printed == 0 {
                    line("{\"type\":\"FeatureCollection\",\"features\":[");
                }
                line("]}");
            }
            Output::Csv if self.printed == 0 => line(CSV_HEAD),
            Output::Csv | Output::Ndjson | Output::Id => {}
        }
    }

    fn table(&self, end: &SearchEnd) {
        if self.rows.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            ("GEOCODE", Align::Left),
            ("DATASET", Align::Left),
            ("DATE", Align::Left),
            ("CLOUD", Align::Right),
            ("COVERAGE", Align::Right),
            ("BANDS", Align::Right),
            ("ID", Align::Left),
        ]);
        for hit in &self.rows {
            table.row([
                hit.geocode.clone(),
                hit.dataset.clone(),
                hit.acquired.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                hit.cloud_cover
                    .map_or_else(|| "?".to_owned(), |c| format!("{c:.1}")),
                format!("{:.1}", hit.pixel_coverage),
                hit.bands.len().to_string(),
                hit.id.to_string(),
            ]);
        }
        table.print();
        let cells: std::collections::BTreeSet<_> = self.rows.iter().map(|h| &h.geocode).collect();
        self.note.note(format!(
            "{} splits in {} geocodes ({:.0} ms; nodes asked: {}). more columns: -o json",
            count(end.hits),
            count(cells.len() as u64),
            end.millis,
            end.asked.len(),
        ));
    }
}

const CSV_HEAD: &str = "id,collection,dataset,scene,geocode,acquired,cloud_cover,pixel_coverage,\
                        pixels,pixels_in_footprint,pixels_valid,bands,bytes,owners";

/// One row; no field can hold a comma or quote (names and ids are checked where they are made).
fn csv(hit: &Hit) -> String {
    let bands: Vec<_> = hit.bands.iter().map(|b| b.name.as_str()).collect();
    format!(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        hit.id,
        hit.collection,
        hit.dataset,
        hit.scene,
        hit.geocode,
        hit.acquired,
        hit.cloud_cover.map(|c| c.to_string()).unwrap_or_default(),
        hit.pixel_coverage,
        hit.pixels,
        hit.pixels_in_footprint,
        hit.pixels_valid,
        bands.join(" "),
        hit.bytes,
        hit.owners.join(" "),
    )
}

fn feature(hit: &Hit) -> serde_json::Value {
    let [w, s, e, n] = hit.bbox;
    serde_json::json!({
        "type": "Feature",
        "id": hit.id,
        "bbox": hit.bbox,
        "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        "properties": hit,
    })
}

/// Our own types always are JSON: their maps have text keys.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
}
