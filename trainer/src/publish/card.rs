//! `README.md` of a model folder: the card, with Hugging Face's front matter.
//!
//! *Invariants*: every number is the config's; limits are said, also when the network lost to a
//! baseline.
//!
//! *Not here*: a licence: whoever publishes a model outside decides that.

mod data;

use wire::model::{InputMetrics, MapMetrics, TestMetrics};
use wire::run::HoldOut;
use wire::transfer::Beside;

use crate::config::ModelConfig;
use crate::job::heir::kin;
use crate::program::PREFIX;
use crate::publish::RIVAL_FILE;
use crate::recipe::describe::{Description, Layer, parameters};

/// Writes the card.
pub fn card(config: &ModelConfig, recipe: &Description) -> String {
    let parts = [
        front_matter(config),
        head(config, recipe),
        scores(config),
        start(config),
        parts(config),
        data::data(config, recipe),
        network(config, recipe),
        limits(config),
        usage(config),
    ];
    parts.join("\n")
}

fn front_matter(config: &ModelConfig) -> String {
    let mut text = String::from("---\nlibrary_name: glebe\npipeline_tag: other\n");
    let tags = [
        "earth-observation",
        "safetensors",
        &config.recipe,
        &config.geocode,
    ];
    text += &list("tags", tags.into_iter());
    text += &list("datasets", config.data.datasets.iter().map(String::as_str));
    let names: &[&str] = match config.metrics.map {
        None => &["mse", "mae", "r_squared"],
        Some(_) => &["mse", "mae", "r_squared", "psnr", "ssim", "ms_ssim"],
    };
    text += &list("metrics", names.iter().copied());
    if let Some(parent) = parent(config) {
        text += &format!("base_model: \"{parent}\"\n");
    }
    text + "---\n"
}

/// Returns the model whose weights were the first of this one.
pub(super) fn parent(config: &ModelConfig) -> Option<String> {
    let descent = config.descent.as_ref().filter(|descent| descent.warm)?;
    Some(format!("{}/{}", config.run, descent.donor))
}

/// Tells what the first weights were.
fn start(config: &ModelConfig) -> String {
    let Some(descent) = &config.descent else {
        return format!(
            "## Start\n\nFrom first weights of its own, drawn with seed {}.\n",
            config.seed
        );
    };
    let donor = &descent.donor;
    let kin = kin(&config.geocode, donor);
    let error =
        |mse: Option<f64>| mse.map_or("none that is finite".to_owned(), |m| format!("{m:.3e}"));
    let trial = descent.trial.map_or(String::new(), |t| {
        format!(
            " Validation errors after {} epoch(s): {} from the {kin}'s weights, {} from its own.",
            t.epochs,
            error(t.warm_mse),
            error(t.cold_mse)
        )
    });
    let beside = descent.beside.map_or(String::new(), |b| beside(donor, b));
    let start = match &descent.reason {
        Some(reason) => format!(
            "## Start\n\n**Cold**: it was to start from the weights of {kin} `{donor}` of the same \
             run, but {reason}. It is what it would be without a {kin}.\n"
        ),
        None => format!(
            "## Start\n\nFrom the weights of {kin} `{donor}` of the same run (BLAKE3 of the file \
             `{}`, {} bytes), {}.{trial}\n",
            descent.weights_blake3.as_deref().unwrap_or_default(),
            descent.bytes,
            if descent.told {
                "the first and last layer written for this cell's normalisation"
            } else {
                "as they are"
            },
        ),
    };
    start + &beside
}

/// Tells how it did beside its parent.
fn beside(parent: &str, beside: Beside) -> String {
    format!(
        "\n**It is needed**: at the {} held-out places of this cell the model of `{parent}`, the \
         cell around it, has a mean squared error of {:.3e}, this one {:.3e} (Wilcoxon \
         signed-rank, one-sided, {}).\n",
        beside.places,
        beside.parent_mse,
        beside.own_mse,
        beside.chance()
    )
}

/// Tells of batches that memory was too little for.
fn parts(config: &ModelConfig) -> String {
    config.part_chips.map_or_else(String::new, |part| {
        format!(
            "Memory was too little: batches of {} chips were learned from in parts of {part}, whose \
             gradients were added up. Batch normalisation saw parts, and sums are rounded \
             otherwise, so that the weights are not those of a machine with more memory.\n",
            config.hyper.batch,
        )
    })
}

/// Writes a list of YAML; the names in it hold only letters, digits, `-`, `_` and `.`, but digits
/// alone (a quad-tile) would be a number.
fn list<'a>(name: &str, items: impl Iterator<Item = &'a str>) -> String {
    let lines = items.map(|item| format!("- \"{item}\"\n"));
    format!("{name}:\n{}", lines.collect::<String>())
}

fn head(config: &ModelConfig, recipe: &Description) -> String {
    format!(
        "# {} of {} {}\n\nLearns the {}, for one cell of the Earth: {} `{}`. Trained by run `{}` \
         where the imagery lies ({}), in {:.1} seconds from the first split read to the last \
         score.\n",
        config.recipe,
        config.scheme,
        config.geocode,
        recipe.task,
        config.scheme,
        config.geocode,
        config.run,
        config.software,
        config.seconds,
    )
}

fn scores(config: &ModelConfig) -> String {
    let m = &config.metrics;
    if let Some(input) = m.input {
        return mended(config, input);
    }
    format!(
        "## Scores\n\nOn {} held-out chips in {}:\n\n\
         | | MSE |\n|---|---|\n| network | {:.3e} |\n| mean of the training chips | {:.3e} |\n\
         | linear regression on {} | {:.3e} |\n\nOf the network: mean absolute error {:.4}, {}. \
         Best epoch {} of {}. The best epoch was chosen on these same chips, so that the \
         network's scores are a little optimistic.\n{}\n{}\n",
        m.chips_val,
        held_out(config, config.data.blocks.validation),
        m.val_mse,
        m.mean_mse,
        if m.map.is_some() {
            "a pixel's bands"
        } else {
            "band means"
        },
        m.linear_mse,
        m.val_mae,
        [Some(score("R²", m.val_r2, "")), m.map.map(image_scores)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        m.epochs_best,
        m.epochs,
        m.test
            .map_or_else(|| untested(config).to_owned(), |test| tested(config, test)),
        verdict(config),
    )
}

/// Tells why a program's answers are scored on no further chips.
fn untested(config: &ModelConfig) -> &'static str {
    if config.recipe.starts_with(PREFIX) {
        "\nNo further chips are held out for a test: a program is handed, and answers, only those \
         that it may choose by.\n"
    } else {
        ""
    }
}

/// Says whether the network is of use, by the chips that chose nothing where there are any.
fn verdict(config: &ModelConfig) -> &'static str {
    let (m, test) = (&config.metrics, config.metrics.test);
    let Some(input) = m.input else {
        let [ours, mean, line] = test.map_or([m.val_mse, m.mean_mse, m.linear_mse], |test| {
            [test.mse, test.mean_mse, test.linear_mse]
        });
        return if ours < mean.min(line) {
            "The network beats both baselines."
        } else {
            "**The network does not beat the better baseline: use that one here.**"
        };
    };
    let map = m.map.unwrap_or_default();
    let (ours, theirs) = match test.and_then(|test| test.input.map(|input| (test, input))) {
        Some((test, input)) => ([test.psnr, test.ssim], [input.psnr, input.ssim]),
        None => ([map.val_psnr, map.val_ssim], [input.psnr, input.ssim]),
    };
    let is_better = |(a, b): (&Option<f64>, &Option<f64>)| a.zip(*b).is_some_and(|(a, b)| a > b);
    if ours.iter().zip(&theirs).all(is_better) {
        "The network beats the cloudy input."
    } else {
        "**The network does not beat the cloudy input: do not use it.**"
    }
}

/// Tells in what so many chips were held out.
fn held_out(config: &ModelConfig, count: u64) -> String {
    let many = if count == 1 { "" } else { "s" };
    match config.hyper.hold_out {
        HoldOut::Blocks => format!("{count} block{many} that no date was learned from"),
        HoldOut::Dates => format!("{count} day{many} that nothing was learned from"),
    }
}

/// Tells how the network did on chips that chose nothing.
fn tested(config: &ModelConfig, test: TestMetrics) -> String {
    let mut all = vec![
        ("network", test.mse),
        ("mean of the training chips", test.mean_mse),
        ("linear regression", test.linear_mse),
    ];
    let input = test
        .input
        .map(|input| ("the cloudy input, unchanged", input.mse));
    all.extend(input);
    let line = |(what, mse): (&str, f64)| format!("| {what} | {mse:.3e} |\n");
    let lines: String = all.into_iter().map(line).collect();
    let image = [
        score("PSNR", test.psnr, " dB"),
        score("SSIM", test.ssim, ""),
    ];
    let image = test.psnr.map(|_| format!(", {}", image.join(", ")));
    format!(
        "\nOn {} further chips in {}, which chose nothing, not even the epoch:\n\n| | MSE |\n\
         |---|---|\n{lines}\nOf the network: mean absolute error {:.4}, {}{}.\n",
        test.chips,
        held_out(config, config.data.blocks.test),
        test.mae,
        score("R²", test.r2, ""),
        image.unwrap_or_default(),
    )
}

/// Tells how a network that mends images did, beside the images as they are.
fn mended(config: &ModelConfig, input: InputMetrics) -> String {
    let m = &config.metrics;
    let map = m.map.unwrap_or_default();
    let [ours, theirs] = [(map.val_psnr, map.val_ssim), (input.psnr, input.ssim)];
    let row = |mse: f64, (psnr, ssim): (Option<f64>, Option<f64>)| {
        let told = |s: Option<f64>| s.map_or_else(|| "none".to_owned(), |s| format!("{s:.4}"));
        format!("{mse:.3e} | {} | {} |", told(psnr), told(ssim))
    };
    format!(
        "## Scores\n\nOn {} held-out chips in {}:\n\n\
         | | MSE | PSNR, dB | SSIM |\n|---|---|---|---|\n| network | {}\n\
         | the cloudy input, unchanged | {}\n\nOf the network: mean absolute error {:.4}, {}. \
         Best epoch {} of {}. The best epoch was chosen on these same chips, so that the \
         network's scores are a little optimistic. Pixels under what cloud the clear date has \
         are not scored.\n{}\n{}\n",
        m.chips_val,
        held_out(config, config.data.blocks.validation),
        row(m.val_mse, ours),
        row(input.mse, theirs),
        m.val_mae,
        image_scores(map),
        m.epochs_best,
        m.epochs,
        m.test.map_or_else(String::new, |test| tested(config, test)),
        verdict(config),
    )
}

/// Tells a score, or that it could not be had.
fn score(name: &str, score: Option<f64>, unit: &str) -> String {
    score.map_or_else(
        || format!("no {name}"),
        |score| format!("{name} {score:.4}{unit}"),
    )
}

/// Tells the scores of a map as an image.
fn image_scores(m: MapMetrics) -> String {
    let [psnr, ssim] = [
        score("PSNR", m.val_psnr, " dB"),
        score("SSIM", m.val_ssim, ""),
    ];
    let name = format!("MS-SSIM (at {} scales)", m.ms_ssim_scales);
    format!("{psnr}, {ssim}, {}", score(&name, m.val_ms_ssim, ""))
}

fn network(config: &ModelConfig, recipe: &Description) -> String {
    if config.recipe.starts_with(PREFIX) {
        return format!(
            "## Program\n\nLearned by the program `{}` of the node's owner (BLAKE3 of its model \
             file `{}`, seed {}); its own words are in `metrics.jsonl`. The scores above are of its \
             answers for the held-out chips, counted by glebe.\n",
            config.recipe, config.weights_blake3, config.seed,
        );
    }
    let head = format!(
        "## Network\n\n{} numbers in `model.safetensors` (BLAKE3 of the weights \
         `{}`, seed {}):\n\n",
        config.network.parameters, config.weights_blake3, config.seed,
    );
    let layer = |layer: &Layer| format!("- `{}`: {} → {:?}\n", layer.name, layer.does, layer.out);
    let layers = |all: &[Layer]| all.iter().map(layer).collect::<String>();
    let rival = match recipe.rival.as_slice() {
        [] => String::new(),
        rival => format!(
            "\nIts discriminator, which it learned to fool and which answers nothing, has {} \
             numbers in `{RIVAL_FILE}`:\n\n{}",
            parameters(rival),
            layers(rival),
        ),
    };
    head + &layers(&recipe.layers) + &rival
}

fn limits(config: &ModelConfig) -> String {
    format!(
        "## Limits\n\nLearned from one cell: elsewhere its answers are guesses. Bands must be \
         {} at {} m, in reflectance, normalised by `config.json`. Chips with fill or more than a \
         tenth of cloud were never seen. `glebe predict` marks, in the band `outside`, pixels \
         of windows that are unlike all that it learned from (their bands' means and deviations; \
         `envelope` in `config.json`).\n",
        config.network.inputs.join(", "),
        config.network.resolution_m,
    )
}

fn usage(config: &ModelConfig) -> String {
    if config.recipe.starts_with(PREFIX) {
        return format!(
            "## Use\n\n```\nglebe model pull {}/{} -O MODEL\nGLEBE_PROGRAMS=/path/of/{} glebe predict \
             MODEL SCENE -O map.tif\n```\n\nThe program that made it answers with it, if its \
             description says `predicts`.\n",
            config.run,
            config.geocode,
            config.recipe.trim_start_matches(PREFIX)
        );
    }
    format!(
        "## Use\n\n```\nglebe model pull {}/{} -O MODEL\nglebe predict MODEL SCENE -O \
         map.tif\n```\n",
        config.run, config.geocode
    )
}
