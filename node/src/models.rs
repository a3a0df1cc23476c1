//! Models as users see them, and which of them answer a question.
//!
//! *Invariants*: pure; a model says of itself only what its own `config.json` says.
//!
//! *Not here*: where its files lie (`store`), what they hold (trainer).

use earth::extent::LonLat;
use earth::geocode::{Geocode, Scheme};
use serde::Deserialize;
use wire::fault::{Fault, FaultKind};
use wire::model::{Metrics, ModelView};
use wire::params::ModelsParams;

use crate::store::{ObjectError, Record};

/// What `config.json` says of a model; its other fields are the trainer's.
#[derive(Debug, Deserialize)]
struct Summary {
    run: String,
    geocode: String,
    scheme: Scheme,
    recipe: String,
    metrics: Metrics,
    splits: u64,
    seconds: f64,
}

/// Returns a model as it is listed.
pub fn view(record: &Record, owners: Vec<String>) -> Result<ModelView, ObjectError> {
    let summary: Summary = record.read()?;
    Ok(ModelView {
        run: summary.run,
        geocode: summary.geocode,
        scheme: summary.scheme,
        recipe: summary.recipe,
        metrics: summary.metrics,
        splits: summary.splits,
        seconds: summary.seconds,
        bytes: record.bytes(),
        hash: record.hash.to_string(),
        owners,
        files: record.files.clone(),
    })
}

/// Returns the models that answer a question, by run and geocode.
///
/// With a position: for each run the model of the most precise cell around it.
pub fn select(models: Vec<ModelView>, asked: &ModelsParams) -> Result<Vec<ModelView>, Fault> {
    let mut models = models;
    if let Some(run) = &asked.run {
        models.retain(|m| m.run == *run);
    }
    if let Some(geocode) = &asked.geocode {
        models.retain(|m| m.geocode == *geocode);
    }
    models.sort_by(|a, b| (&a.run, &a.geocode).cmp(&(&b.run, &b.geocode)));
    match position(asked)? {
        Some(point) => Ok(around(models, point)),
        None => Ok(models),
    }
}

fn position(asked: &ModelsParams) -> Result<Option<LonLat>, Fault> {
    match (asked.lon, asked.lat) {
        (None, None) => Ok(None),
        (Some(lon), Some(lat)) if lon.abs() <= 180.0 && lat.abs() <= 90.0 => {
            Ok(Some(LonLat { lon, lat }))
        }
        _ => Err(Fault::new(FaultKind::Usage, "no position on Earth")
            .because("longitude must lie in -180..=180 and latitude in -90..=90, both given")),
    }
}

/// Keeps, of each run, the model of the longest geocode whose cell holds the point.
fn around(models: Vec<ModelView>, point: LonLat) -> Vec<ModelView> {
    let holds = |model: &ModelView| {
        let precision = u8::try_from(model.geocode.len()).unwrap_or(u8::MAX);
        let cell = Geocode::encode(model.scheme, point, precision);
        cell.is_ok_and(|cell| cell.to_string() == model.geocode)
    };
    let mut best: Vec<ModelView> = Vec::new();
    for model in models.into_iter().filter(holds) {
        match best.last_mut() {
            Some(last) if last.run == model.run => {
                if model.geocode.len() > last.geocode.len() {
                    *last = model;
                }
            }
            _ => best.push(model),
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(run: &str, geocode: &str) -> ModelView {
        ModelView {
            run: run.to_owned(),
            geocode: geocode.to_owned(),
            scheme: Scheme::Geohash,
            recipe: "ndvi-cnn".to_owned(),
            metrics: Metrics {
                val_mse: 1.0,
                val_mae: 1.0,
                mean_mse: 1.0,
                linear_mse: 1.0,
                chips_train: 1,
                chips_val: 1,
                epochs_best: 1,
                epochs: 1,
                ..Metrics::default()
            },
            splits: 1,
            seconds: 1.0,
            bytes: 1,
            hash: String::new(),
            owners: Vec::new(),
            files: Vec::new(),
        }
    }

    fn names(models: &[ModelView]) -> Vec<String> {
        let name = |m: &ModelView| format!("{}/{}", m.run, m.geocode);
        models.iter().map(name).collect()
    }

    #[test]
    fn the_most_precise_cell_around_a_position_answers_for_each_run() {
        // Fort Collins lies in 9xjq.
        let models = vec![
            model("a", "9xj"),
            model("a", "9xjq"),
            model("a", "u2ed"),
            model("b", "9x"),
            model("c", "u2"),
        ];
        let asked = ModelsParams {
            lon: Some(-105.08),
            lat: Some(40.58),
            ..ModelsParams::default()
        };
        let found = select(models.clone(), &asked).unwrap();
        assert_eq!(names(&found), ["a/9xjq", "b/9x"]);
        let of_run = ModelsParams {
            run: Some("a".to_owned()),
            ..ModelsParams::default()
        };
        assert_eq!(select(models, &of_run).unwrap().len(), 3);
    }

    #[test]
    fn half_a_position_is_refused() {
        let asked = ModelsParams {
            lon: Some(7.0),
            ..ModelsParams::default()
        };
        assert!(select(Vec::new(), &asked).is_err());
    }
}
