//! Who answered, what stays fill, and what no model has seen, in words.
//!
//! *Invariants*: cells are counted by the model that answered; what is as it should be is not said.
//!
//! *Not here*: the answers of a scene (`predict`), those of stored splits (`compose`).

use std::collections::BTreeMap;

use serde_json::Value;

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
    let warnings = list("warnings").filter_map(Value::as_str);
    let lines = stand_ins(named)
        .into_iter()
        .chain(fills(&without))
        .chain(warnings.map(|warning| format!("note: {warning}")))
        .chain(outside((count("pixels_outside"), count("pixels"))));
    for line in lines {
        text += &format!("\n{line}");
    }
    text
}

/// Says which models answered for cells that have none of their own; `cells` are model and kinship.
pub(crate) fn stand_ins<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (model, kinship) in cells {
        let how = match kinship {
            "ancestor" => "a larger cell's, around them",
            "donor" => "the donor's of their group",
            "global" => "the global one",
            _ => continue,
        };
        *counts.entry((model, how)).or_default() += 1;
    }
    let tell = |((model, how), count): ((&str, &str), u64)| {
        format!("{count} cells without a model of their own answered by {model}, {how}")
    };
    counts.into_iter().map(tell).collect()
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
