//! `glebe search --pairs`: pairs as a table, JSON, CSV, GeoJSON or ids.
//!
//! *Invariants*: rows are printed as they come, but for tables, which are aligned.
//!
//! *Not here*: finding pairs (`crate::pairs`).

use std::process::ExitCode;

use query::Query;
use query::pairs::Rule;
use wire::fault::FaultKind;
use wire::hit::Hit;

use super::{TABLE_ROWS_MAX, json};
use crate::Done;
use crate::args::Output;
use crate::pairs::{days_apart, say, stream};
use crate::print::{Align, Table, line};
use crate::session::Session;

const CSV_HEAD: &str = "geocode,collection,cloudy,cloudy_acquired,cloudy_cloud_cover,clear,\
                        clear_acquired,clear_cloud_cover,days_apart";

pub(super) async fn run(session: &Session, (query, rule): (Query, Rule)) -> Done {
    let client = session.client().await?;
    let mut printer = Printer {
        output: session.screen.output,
        rows: Vec::new(),
        printed: 0,
    };
    let found = stream(&client, (query, rule), |cloudy, clear| {
        printer.pair(cloudy, clear);
    });
    let (end, tally) = found.await?;
    printer.end(&json(&end));
    if tally.splits > 0 {
        say(&session.screen, &tally);
    }
    if end.complete && tally.splits > 0 && tally.pairs == 0 {
        return Ok(ExitCode::from(FaultKind::Nothing.exit_code()));
    }
    Ok(super::conclude(&session.screen, &end))
}

struct Printer {
    output: Output,
    rows: Vec<[String; 7]>,
    printed: u64,
}

impl Printer {
    fn pair(&mut self, cloudy: &Hit, clear: &Hit) {
        let days = days_apart(cloudy, clear);
        match self.output {
            Output::Table if self.rows.len() < TABLE_ROWS_MAX => {
                self.rows.push(row(cloudy, clear, days));
            }
            Output::Table | Output::Id => line(&format!("{} {}", cloudy.id, clear.id)),
            Output::Json => {
                let head = "{\"pairs\":[";
                line(if self.printed == 0 { head } else { "," });
                line(&object(cloudy, clear, days).to_string());
            }
            Output::Ndjson => line(&object(cloudy, clear, days).to_string()),
            Output::Csv => {
                self.head();
                line(&csv(cloudy, clear, days));
            }
            Output::Geojson => {
                let head = "{\"type\":\"FeatureCollection\",\"features\":[";
                line(if self.printed == 0 { head } else { "," });
                line(&feature(cloudy, clear, days).to_string());
            }
        }
        self.printed += 1;
    }

    fn head(&self) {
        if self.printed == 0 {
            line(CSV_HEAD);
        }
    }

    fn end(&self, end: &str) {
        match self.output {
            Output::Table => self.table(),
            Output::Json => {
                if self.printed == 0 {
                    line("{\"pairs\":[");
                }
                line(&format!("],\n\"end\":{end}}}"));
            }
            Output::Geojson => {
                if self.printed == 0 {
                    line("{\"type\":\"FeatureCollection\",\"features\":[");
                }
                line("]}");
            }
            Output::Csv => self.head(),
            Output::Ndjson | Output::Id => {}
        }
    }

    fn table(&self) {
        if self.rows.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            ("GEOCODE", Align::Left),
            ("COLLECTION", Align::Left),
            ("CLOUDY", Align::Left),
            ("CLOUD", Align::Right),
            ("CLEAR", Align::Left),
            ("CLOUD", Align::Right),
            ("DAYS", Align::Right),
        ]);
        for row in &self.rows {
            table.row(row.clone());
        }
        table.print();
    }
}

fn row(cloudy: &Hit, clear: &Hit, days: f64) -> [String; 7] {
    let date = |hit: &Hit| hit.acquired.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let cover = |hit: &Hit| { hit.cloud_cover }.map_or_else(String::new, |c| format!("{c:.1}"));
    [
        cloudy.geocode.clone(),
        cloudy.collection.clone(),
        date(cloudy),
        cover(cloudy),
        date(clear),
        cover(clear),
        format!("{days:+.1}"),
    ]
}

fn object(cloudy: &Hit, clear: &Hit, days: f64) -> serde_json::Value {
    serde_json::json!({
        "geocode": cloudy.geocode,
        "collection": cloudy.collection,
        "days_apart": days,
        "cloudy": cloudy,
        "clear": clear,
    })
}

fn feature(cloudy: &Hit, clear: &Hit, days: f64) -> serde_json::Value {
    let [w, s, e, n] = cloudy.bbox;
    serde_json::json!({
        "type": "Feature",
        "id": cloudy.id,
        "bbox": cloudy.bbox,
        "geometry": {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]},
        "properties": object(cloudy, clear, days),
    })
}

/// One row; no field can hold a comma or quote (names and ids are checked where they are made).
fn csv(cloudy: &Hit, clear: &Hit, days: f64) -> String {
    let cover = |hit: &Hit| {
        { hit.cloud_cover }
            .map(|c| c.to_string())
            .unwrap_or_default()
    };
    format!(
        "{},{},{},{},{},{},{},{},{days}",
        cloudy.geocode,
        cloudy.collection,
        cloudy.id,
        cloudy.acquired,
        cover(cloudy),
        clear.id,
        clear.acquired,
        cover(clear),
    )
}
