//! Models as users see them, and which of them answer a question.
//!
//! *Invariants*: pure; a model says of itself only what its own `config.json` says.
//!
//! *Not here*: where its files lie (`store`), what they hold (trainer).

use std::collections::BTreeMap;

use earth::extent::{LonLat, LonLatBox};
use earth::geocode::{Geocode, Scheme};
use jiff::Timestamp;
use serde::Deserialize;
use wire::fault::{Fault, FaultKind};
use wire::model::{BEST, LATEST, Metrics, ModelView, Question, Tag};
use wire::module::Module;
use wire::params::ModelsParams;

use crate::store::{ObjectError, Record};

/// What `config.json` says of a model; its other fields are the trainer's.
#[derive(Debug, Deserialize)]
struct Summary {
    run: String,
    geocode: String,
    scheme: Scheme,
    recipe: String,
    #[serde(default)]
    module: Option<Module>,
    metrics: Metrics,
    splits: u64,
    seconds: f64,
    #[serde(default)]
    trained: Option<Timestamp>,
}

/// Returns a model as it is listed.
pub fn view(record: &Record, owners: Vec<String>) -> Result<ModelView, ObjectError> {
    let summary: Summary = record.read()?;
    Ok(ModelView {
        run: summary.run,
        geocode: summary.geocode,
        scheme: summary.scheme,
        recipe: summary.recipe,
        module: summary.module,
        metrics: summary.metrics,
        splits: summary.splits,
        seconds: summary.seconds,
        bytes: record.bytes(),
        hash: record.hash.to_string(),
        trained: summary.trained,
        tags: Vec::new(),
        owners,
        files: record.files.clone(),
    })
}

/// Returns the models that answer a question, by run and geocode, each with its tags.
///
/// With a position: for each run the model of the most precise cell around it.
pub fn select(
    mut models: Vec<ModelView>,
    tags: &[Tag],
    asked: &ModelsParams,
) -> Result<Vec<ModelView>, Fault> {
    models.sort_by(|a, b| (&a.run, &a.geocode).cmp(&(&b.run, &b.geocode)));
    tag(&mut models, tags);
    if let Some(run) = &asked.run {
        models.retain(|m| m.run == *run);
    }
    if let Some(geocode) = &asked.geocode {
        models.retain(|m| m.geocode == *geocode);
    }
    if let Some(tag) = &asked.tag {
        models.retain(|m| m.tags.contains(tag));
    }
    if let Some(area) = asked.bbox.as_deref().map(area).transpose()? {
        models.retain(|m| cell(m).is_some_and(|cell| cell.bounds().overlaps(&area)));
    }
    match position(asked)? {
        Some(point) => Ok(around(models, point)),
        None => Ok(models),
    }
}

/// Tags models: the last and the best of each cell and question, then what users named.
fn tag(models: &mut [ModelView], tags: &[Tag]) {
    let mut rivals: BTreeMap<(Scheme, &str, Question<'_>), Vec<usize>> = BTreeMap::new();
    for (at, model) in models.iter().enumerate() {
        let of = (model.scheme, model.geocode.as_str(), model.question());
        rivals.entry(of).or_default().push(at);
    }
    let rivals: Vec<Vec<usize>> = rivals.into_values().collect();
    for of_cell in &rivals {
        let timed = |at: &&usize| models[**at].trained.is_some();
        let last = of_cell.iter().filter(timed);
        let last = last.max_by_key(|at| models[**at].trained).copied();
        let error = |at: &usize| models[*at].metrics.val_mse;
        let scored = of_cell.iter().filter(|at| error(at).is_finite());
        let best = scored.min_by(|a, b| error(a).total_cmp(&error(b))).copied();
        for (at, name) in [(best, BEST), (last, LATEST)] {
            if let Some(model) = at.and_then(|at| models.get_mut(at)) {
                model.tags.push(name.to_owned());
            }
        }
    }
    for model in models {
        let own = |t: &&Tag| t.run == model.run && t.geocode == model.geocode;
        let names = tags.iter().filter(own).map(|t| t.tag.clone());
        model.tags.extend(names);
        model.tags.sort();
    }
}

fn area(text: &str) -> Result<LonLatBox, Fault> {
    query::text::lon_lat_box(text).map_err(|e| {
        let what = format!("'{text}' is no box on Earth");
        Fault::new(FaultKind::Usage, what).because(e.to_string())
    })
}

fn cell(model: &ModelView) -> Option<Geocode> {
    Geocode::parse(model.scheme, &model.geocode).ok()
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
            module: None,
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
            trained: None,
            tags: Vec::new(),
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
        let found = select(models.clone(), &[], &asked).unwrap();
        assert_eq!(names(&found), ["a/9xjq", "b/9x"]);
        let of_run = ModelsParams {
            run: Some("a".to_owned()),
            ..ModelsParams::default()
        };
        assert_eq!(select(models, &[], &of_run).unwrap().len(), 3);
    }

    #[test]
    fn the_last_the_best_and_what_users_named_are_found_by_their_tags() {
        let trained = |run: &str, day: i64, error: f64| {
            let mut model = model(run, "9xjq");
            model.trained = Timestamp::from_second(day * 86_400).ok();
            model.metrics.val_mse = error;
            model
        };
        let mut other = trained("z", 9, 0.1);
        other.recipe = "ndmi-unet".to_owned();
        // A model that never learned says no number, and is the best of nothing.
        let lost = trained("b", 2, f64::NAN);
        let models = vec![trained("a", 3, 0.5), lost, trained("c", 1, 0.2), other];
        let named = Tag {
            tag: "prod".to_owned(),
            geocode: "9xjq".to_owned(),
            run: "b".to_owned(),
        };
        let of = |tag: &str| {
            let asked = ModelsParams {
                tag: Some(tag.to_owned()),
                ..ModelsParams::default()
            };
            names(&select(models.clone(), std::slice::from_ref(&named), &asked).unwrap())
        };
        assert_eq!(of("latest"), ["a/9xjq", "z/9xjq"]);
        assert_eq!(of("best"), ["c/9xjq", "z/9xjq"]);
        assert_eq!(of("prod"), ["b/9xjq"]);
        assert!(of("test").is_empty());
    }

    /// A module of red was the best of those of near infrared, whose errors are greater.
    #[test]
    fn modules_of_one_name_are_rivals_only_where_they_learned_the_same() {
        let learned = |run: &str, label: &str, error: f64| {
            let mut model = model(run, "9xjq");
            model.recipe = "torchscript:net.pt".to_owned();
            model.metrics.val_mse = error;
            model.module = Some(Module {
                blake3: "ab".repeat(32),
                bytes: 9,
                inputs: vec!["green".to_owned()],
                label: label.to_owned(),
                answer: wire::module::Answer::Map,
                loss: wire::module::Loss::Mse,
                classes: None,
            });
            model
        };
        let models = vec![
            learned("a", "nir", 0.5),
            learned("b", "nir", 0.4),
            learned("c", "red", 0.1),
        ];
        let asked = ModelsParams {
            tag: Some(BEST.to_owned()),
            ..ModelsParams::default()
        };
        let found = select(models, &[], &asked).unwrap();
        assert_eq!(names(&found), ["b/9xjq", "c/9xjq"]);
    }

    #[test]
    fn a_box_finds_the_cells_that_it_overlaps() {
        let models = vec![model("a", "9xjq"), model("a", "9xj"), model("a", "u2ed")];
        let asked = ModelsParams {
            bbox: Some("-105.1,40.5,-105.0,40.6".to_owned()),
            ..ModelsParams::default()
        };
        assert_eq!(
            names(&select(models, &[], &asked).unwrap()),
            ["a/9xj", "a/9xjq"]
        );
    }

    #[test]
    fn half_a_position_and_three_sides_of_a_box_are_refused() {
        let asked = ModelsParams {
            lon: Some(7.0),
            ..ModelsParams::default()
        };
        assert!(select(Vec::new(), &[], &asked).is_err());
        let asked = ModelsParams {
            bbox: Some("7,8,9".to_owned()),
            ..ModelsParams::default()
        };
        assert!(select(Vec::new(), &[], &asked).is_err());
    }
}
