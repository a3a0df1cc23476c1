//! Who answered, what stays fill, and what no model has seen, in words.
//!
//! *Invariants*: cells are counted by the model that answered; what is as it should be is not said.
//!
//! *Not here*: the answers of a scene (`predict`), those of stored splits (`compose`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::print::some_of;

/// Models named of those that answer in one way.
const NAMED_MAX: usize = 3;
/// Notes of the trainer that are shown.
const NOTES_MAX: usize = 6;

/// Says what the trainer's summary holds.
pub(super) fn summary(said: &Value) -> String {
    let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
    let list = |key: &str| said[key].as_array().into_iter().flatten();
    let count = |key: &str| said[key].as_u64().unwrap_or(0);
    let mut text = format!(
        "{:.2} Mpx in {} cells, values {:.3}..{:.3}, mean {:.3}",
        number("pixels") / 1e6,
        list("cells").count(),
        number("min"),
        number("max"),
        number("mean"),
    );
    let word = |cell: &'_ Value, key: &str| cell[key].as_str().unwrap_or_default().to_owned();
    let named: Vec<(String, String)> = list("cells")
        .map(|cell| (word(cell, "model"), word(cell, "kinship")))
        .collect();
    let named = named
        .iter()
        .map(|(model, kin)| (model.as_str(), kin.as_str()));
    let without = list("cells_without_model").filter_map(Value::as_str);
    let without: Vec<String> = without.map(str::to_owned).collect();
    let warnings: Vec<&str> = list("warnings").filter_map(Value::as_str).collect();
    let lines = stand_ins(named)
        .into_iter()
        .chain(fills(&without))
        .chain(notes(&warnings))
        .chain(outside((count("pixels_outside"), count("pixels"))));
    for line in lines {
        text += &format!("\n{line}");
    }
    text
}

/// Says which models answered for cells that have none of their own; `cells` are model and kinship.
pub(crate) fn stand_ins<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut ways: BTreeMap<&str, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for (model, kinship) in cells {
        let how = match kinship {
            "ancestor" => "a larger cell's, around them",
            "donor" => "the donor's of their group",
            "global" => "the global one",
            _ => continue,
        };
        let (count, models) = ways.entry(how).or_default();
        *count += 1;
        models.insert(model);
    }
    let tell = |(how, (count, models)): (&str, (u64, BTreeSet<&str>))| {
        let models: Vec<&str> = models.into_iter().collect();
        let by = match models.as_slice() {
            [one] => format!("{one}, {how}"),
            many => format!(
                "{} models ({}), each {how}",
                many.len(),
                some_of(many, NAMED_MAX)
            ),
        };
        format!("{count} cells without a model of their own answered by {by}")
    };
    ways.into_iter().map(tell).collect()
}

/// Returns the trainer's notes, and how many are not shown.
fn notes(warnings: &[&str]) -> Vec<String> {
    let shown = warnings.iter().take(NOTES_MAX);
    let mut lines: Vec<String> = shown.map(|warning| format!("note: {warning}")).collect();
    if let Some(more) = warnings.len().checked_sub(NOTES_MAX).filter(|n| *n > 0) {
        lines.push(format!("and {more} more such notes: -o json has them all"));
    }
    lines
}

/// Says which cells no model answers for.
pub(crate) fn fills(without: &[String]) -> Option<String> {
    let first = without.first()?;
    let others = if without.len() > 1 { ", …" } else { "" };
    let count = without.len();
    Some(format!(
        "{count} cells have no model and stay fill: {first}{others}"
    ))
}

/// Says how many answers are about what no model has seen.
pub(crate) fn outside((outside, pixels): (u64, u64)) -> Option<String> {
    let percent = 100.0 * outside as f64 / pixels.max(1) as f64;
    (outside > 0).then(|| {
        format!(
            "{percent:.1} % of the answers are about imagery unlike what the models learned from \
             (band 'outside')"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_be_answered_is_told_once() {
        let models: Vec<String> = (0..300).map(|i| format!("tree/9xj{i:03}")).collect();
        let cells = models.iter().map(|model| (model.as_str(), "ancestor"));
        let cells = cells.chain([("tree/9xj5k", "own"), ("tree/9xj5m", "donor")]);
        let told = stand_ins(cells);
        let expected = [
            "300 cells without a model of their own answered by 300 models (tree/9xj000, \
             tree/9xj001, tree/9xj002 and 297 more), each a larger cell's, around them",
            "1 cells without a model of their own answered by tree/9xj5m, the donor's of their \
             group",
        ];
        assert_eq!(told, expected);
        let many = ["a model of another sensor"; 9];
        assert_eq!(notes(&many).len(), NOTES_MAX + 1);
        assert_eq!(notes(&many[..2]).len(), 2);
    }
}
