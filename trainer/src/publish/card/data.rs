//! The card's section on the data: chips, bands, snapshot, query and normalisation.
//!
//! *Invariants*: every number is the config's.
//!
//! *Not here*: the other sections (`card`).

use crate::chips::choose::UsedBand;
use crate::chips::normal::Spread;
use crate::chips::onto::Onto;
use crate::config::{BandUse, ModelConfig};
use crate::recipe::describe::Description;

/// Most bytes of a query that stand in a card: an area's outline may have thousands of corners.
const QUERY_BYTES_MAX: usize = 2_000;

/// Tells it all.
pub(super) fn data(config: &ModelConfig, recipe: &Description) -> String {
    let uses = config.data.bands.iter().map(band_use);
    let paired = config.data.pairs.map(|pairs| {
        let (clear, cloudy) = (pairs.rule.clear_max, pairs.rule.cloudy_min);
        format!(
            "\nChips were cut of {} pairs of a cloudy and a clear split (from {cloudy} % and up to \
             {clear} % of cloud), each the nearest in time; {} splits are half of none.\n",
            pairs.count, config.data.left_out.no_pair,
        )
    });
    let paired = paired.unwrap_or_default();
    [
        training(config, recipe),
        uses.collect(),
        paired,
        left_out(config),
        snapshot(config),
        normalisation(config),
    ]
    .concat()
}

fn training(config: &ModelConfig, recipe: &Description) -> String {
    let data = &config.data;
    format!(
        "## Training data\n\n{} chips of {} x {} pixels at {} m from {} splits of {}, acquired {} \
         to {}; {}.\n\nLabel: {}.\n\nBands, and how each came onto the chips' grid:\n\n",
        config.metrics.chips_train,
        config.network.chip_px,
        config.network.chip_px,
        config.network.resolution_m,
        config.splits,
        data.datasets.join(", "),
        data.acquired[0],
        data.acquired[1],
        parting(config),
        recipe.label,
    )
}

/// Tells how chips were parted.
fn parting(config: &ModelConfig) -> String {
    let blocks = &config.data.blocks;
    let (side, held) = (
        blocks.side_chips,
        [blocks.train, blocks.validation, blocks.test],
    );
    let [train, validation, test] = held;
    let what = match &blocks.days {
        Some(days) => {
            let test = { days.test.as_ref() }.map(|day| format!(", for the test from {day} on"));
            let test = test.unwrap_or_default();
            format!("days, held out from {} on{test}", days.validation)
        }
        None => format!("blocks of {side} x {side} chips"),
    };
    let buffer = match blocks.buffered {
        0 => String::new(),
        chips => format!("; {chips} chips beside held-out ones on no side"),
    };
    format!(
        "{what}: {train} learned from, {validation} held out to choose the epoch, {test} for the \
         test{buffer}"
    )
}

/// Tells which bands so many splits used.
fn band_use(usage: &BandUse) -> String {
    let told: Vec<String> = usage.bands.iter().map(band).collect();
    format!("- {} splits: {}\n", usage.splits, told.join(", "))
}

fn left_out(config: &ModelConfig) -> String {
    let (chips, splits) = (&config.data.chips_left_out, &config.data.left_out);
    let decoded = config.data.chips_decoded.map_or(String::new(), |chips| {
        format!(" Chips decoded for it, and not taken from an earlier job's: {chips}.")
    });
    format!(
        "\nLeft out: {} chips with fill, {} under more than a tenth of cloud, {} in the dark; {} \
         splits without the bands, {} on another grid, {} beyond what fits in memory.{decoded} \
         Imagery that travelled between nodes for it: {} bytes.\n",
        chips.fill,
        chips.cloud,
        chips.no_label,
        splits.no_band,
        splits.other_grid,
        splits.too_many,
        config.data.bytes_moved,
    )
}

/// Tells which splits these were, and what asked for them.
fn snapshot(config: &ModelConfig) -> String {
    let query = serde_json::to_string(&config.query).unwrap_or_default();
    let query = if query.len() > QUERY_BYTES_MAX {
        " it is long, `query` in `config.json`.\n".to_owned()
    } else {
        format!("\n\n```json\n{query}\n```\n")
    };
    format!(
        "\nSnapshot of the data: BLAKE3 `{}` of the ids of its splits, sorted, each followed by a \
         newline. The query that chose them:{query}",
        config.data.split_ids_blake3,
    )
}

/// Tells what numbers become before the network sees them.
fn normalisation(config: &ModelConfig) -> String {
    let row = |name: &str, spread: &Spread| {
        format!("| {name} | {:.6} | {:.6} |\n", spread.mean, spread.std)
    };
    let bands = &config.normalisation.bands;
    let bands = config.network.inputs.iter().zip(bands);
    let bands: String = bands.map(|(name, spread)| row(name, spread)).collect();
    let label = row("label", &config.normalisation.label);
    format!(
        "\nNormalisation: each value less the mean, divided by the deviation, both of the chips \
         learned from; an answer is turned back as the label is.\n\n| | mean | deviation |\n|---|---|---|\n\
         {bands}{label}"
    )
}

/// Tells one band.
fn band(band: &UsedBand) -> String {
    let onto = match band.onto {
        Onto::Same => "",
        Onto::Area => ", averaged onto the chips' grid",
        Onto::Nearest => ", nearest pixel on the chips' grid",
    };
    format!(
        "{} = {} ({} m{onto})",
        band.role, band.name, band.resolution_m
    )
}
