//! Which model is meant by a name, a place and a tag.
//!
//! *Invariants*: the most precise cell's model, and of several of that cell the one trained last;
//! models of several recipes are never chosen between; where a place has no model of its own, that
//! of its nearest ancestor is taken, then that of its group's donor, then the global one, and that
//! is said.
//!
//! *Not here*: downloading, who stands in (`stand_in`).

use std::collections::BTreeSet;

use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::model::{GLOBAL, ModelView, Models, Question};
use wire::params::ModelsParams;

use crate::args::{Place, point};
use crate::model::stand_in::{self, StandIn};
use crate::print::some_of;

/// Names shown of many.
const SHOWN_MAX: usize = 6;

/// Models that match.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) models: Vec<ModelView>,
    /// The run that was named.
    pub(super) run: Option<String>,
    /// The place, with the cell whose own model was wanted.
    pub(super) place: Place,
    /// What was asked for, in the user's words.
    words: String,
    /// Why models of elsewhere were found.
    pub(super) instead: Option<StandIn>,
}

/// One model.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) model: ModelView,
    /// What a user should know: it is not the model of the cell asked for.
    pub(super) instead: Option<String>,
}

/// Finds models by `RUN/GEOCODE`, or by run, place and tag; or those that stand in for them.
pub(super) async fn all(
    client: &Client,
    text: Option<&str>,
    place: &Place,
) -> Result<Found, Fault> {
    let text = text.unwrap_or_default();
    let (run, code) = match text.split_once('/') {
        Some((run, code)) => (run, Some(code)),
        None => (text, place.geocode.as_deref()),
    };
    let code = code.map(str::to_ascii_lowercase);
    if text.is_empty() && code.is_none() && place.at.is_none() && place.bbox.is_none() {
        return Err(Fault::new(FaultKind::Usage, "which model?")
            .try_("glebe model pull RUN/GEOCODE, --geocode 9xj5k or --at -105.08,40.57"));
    }
    let run = (!run.is_empty()).then(|| run.to_owned());
    let own = Place {
        geocode: code,
        ..place.clone()
    };
    let mut models = asked(client, run.clone(), &own).await?;
    let mut instead = None;
    if models.is_empty() && !own.is_anywhere() {
        let all = anywhere(client, (run.clone(), place.tag.clone())).await?;
        (models, instead) = stand_in::find(client, &own, all).await?;
    }
    Ok(Found {
        models,
        words: words(text, place),
        run,
        place: own,
        instead,
    })
}

/// Finds all models of a run, or of all runs, that have a tag if one is named.
pub(super) async fn anywhere(
    client: &Client,
    (run, tag): (Option<String>, Option<String>),
) -> Result<Vec<ModelView>, Fault> {
    let anywhere = Place {
        tag,
        ..Place::default()
    };
    asked(client, run, &anywhere).await
}

/// Returns what was asked for as it was typed, each word once.
fn words(text: &str, place: &Place) -> String {
    let tag = place.tag.as_ref().map(|tag| format!("tagged {tag}"));
    // A full name has its cell in it, and goes before that of a flag.
    let code = place.geocode.as_ref().filter(|_| !text.contains('/'));
    let of_place = [code, place.at.as_ref(), place.bbox.as_ref()];
    let of_place = of_place.into_iter().flatten().map(String::as_str);
    let name = Some(text).filter(|text| !text.is_empty());
    let words: Vec<&str> = { name.into_iter() }
        .chain(of_place)
        .chain(tag.as_deref())
        .collect();
    words.join(" ")
}

/// Finds one model by its full name.
pub(super) async fn named(client: &Client, text: &str) -> Result<ModelView, Fault> {
    let mut found = all(client, Some(text), &Place::default()).await?;
    if let Some(code) = &found.place.geocode {
        found.models.retain(|m| m.geocode == *code);
    }
    Ok(one(found)?.model)
}

/// Returns one model by its full name, or all of a run.
pub(super) async fn one_or_run(client: &Client, text: &str) -> Result<Vec<ModelView>, Fault> {
    if text.contains('/') {
        return Ok(vec![named(client, text).await?]);
    }
    let found = all(client, Some(text), &Place::default()).await?;
    if found.models.is_empty() {
        return Err(nothing(&found.words));
    }
    Ok(found.models)
}

/// Chooses one.
pub(super) fn one(found: Found) -> Result<Chosen, Fault> {
    let mut nearest = found.models;
    let most = nearest.iter().map(precision).max();
    nearest.retain(|m| Some(precision(m)) == most);
    of_one_recipe(&nearest)?;
    let cells = distinct(nearest.iter().map(|m| m.geocode.as_str()));
    if cells.len() > 1 {
        let what = format!("{} models match", nearest.len());
        return Err(Fault::new(FaultKind::Usage, what)
            .because(format!("they are those of {}", shown(&cells)))
            .try_("--bundle, which downloads one of each cell, or --geocode"));
    }
    nearest.sort_by_key(|m| m.trained);
    let model = nearest.pop().ok_or_else(|| nothing(&found.words))?;
    let instead = found.instead.map(|why| why.told(&model));
    Ok(Chosen { model, instead })
}

/// Chooses one of each cell.
pub(super) fn each_cell(found: Found) -> Result<Vec<ModelView>, Fault> {
    of_one_recipe(&found.models)?;
    let models = last_of_each_cell(found.models);
    if models.is_empty() {
        return Err(nothing(&found.words));
    }
    Ok(models)
}

/// Keeps of each cell's models the one that was trained last, by geocode.
pub(super) fn last_of_each_cell(mut models: Vec<ModelView>) -> Vec<ModelView> {
    models.sort_by(|a, b| a.geocode.cmp(&b.geocode).then(b.trained.cmp(&a.trained)));
    models.dedup_by(|earlier, last| earlier.geocode == last.geocode);
    models
}

fn nothing(words: &str) -> Fault {
    Fault::new(FaultKind::Nothing, format!("no model {words}")).try_("glebe model list")
}

/// Refuses to choose between answers to different questions.
fn of_one_recipe(models: &[ModelView]) -> Result<(), Fault> {
    let questions: BTreeSet<Question<'_>> = models.iter().map(ModelView::question).collect();
    if questions.len() < 2 {
        return Ok(());
    }
    let recipes: Vec<String> = questions.iter().map(ToString::to_string).collect();
    let recipes = some_of(&recipes, SHOWN_MAX);
    let what = format!("models of several recipes match: {recipes}");
    let runs = distinct(models.iter().map(|m| m.run.as_str()));
    Err(Fault::new(FaultKind::Usage, what).try_(format!("name a run: {}", shown(&runs))))
}

/// Orders models by how small their cells are.
fn precision(model: &ModelView) -> usize {
    if model.geocode == GLOBAL {
        0
    } else {
        model.geocode.len()
    }
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let set: BTreeSet<&str> = words.collect();
    set.into_iter().collect()
}

fn shown(words: &[&str]) -> String {
    some_of(words, SHOWN_MAX)
}

async fn asked(
    client: &Client,
    run: Option<String>,
    place: &Place,
) -> Result<Vec<ModelView>, Fault> {
    let Models { models, complete } = client.models(&wanted(run, place)?).await?;
    if complete {
        return Ok(models);
    }
    let what = "not every model is in reach";
    Err(Fault::new(FaultKind::Partial, what)
        .because("a node does not answer, and the model asked for may lie there")
        .try_("glebe status"))
}

/// Returns the parameters that select models of a run at a place.
pub(super) fn wanted(run: Option<String>, place: &Place) -> Result<ModelsParams, Fault> {
    let at = place.at.as_deref().map(point).transpose()?;
    if let Some(text) = &place.bbox {
        crate::args::bbox(text)?;
    }
    Ok(ModelsParams {
        run,
        geocode: place.geocode.as_ref().map(|g| g.to_ascii_lowercase()),
        tag: place.tag.clone(),
        bbox: place.bbox.clone(),
        lon: at.map(|p| p.0),
        lat: at.map(|p| p.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::of_module;

    /// The last of them was chosen, whatever it answers.
    #[test]
    fn modules_of_one_name_that_learned_other_labels_are_not_chosen_between() {
        of_one_recipe(&[of_module("a", "nir"), of_module("b", "nir")]).unwrap();
        let models = [of_module("a", "nir"), of_module("b", "red")];
        let fault = of_one_recipe(&models).unwrap_err();
        assert!(fault.what.contains("(nir from green"), "{fault}");
        assert_eq!(fault.try_.as_deref(), Some("name a run: a, b"));
    }

    #[test]
    fn what_was_asked_for_is_told_once() {
        let nowhere = Place::default();
        let cell = Place {
            geocode: Some("9xj5k".to_owned()),
            tag: Some("prod".to_owned()),
            ..Place::default()
        };
        assert_eq!(words("july/9xj5k", &nowhere), "july/9xj5k");
        assert_eq!(words("july", &cell), "july 9xj5k tagged prod");
        assert_eq!(words("", &cell), "9xj5k tagged prod");
        assert_eq!(
            nothing(&words("a/9xj5k", &nowhere)).what,
            "no model a/9xj5k"
        );
    }
}
