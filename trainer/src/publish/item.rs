//! `item.json` of a model folder: a STAC Item with the machine-learning-model extension (MLM 1.4).
//!
//! *Invariants*: every number is the config's; bands are named by what they show; the folder's
//! files are named relative to the item.
//!
//! *Not here*: the search for models (node).

use earth::geocode::{Geocode, GeocodeError};
use serde_json::{Value, json};
use wire::module::{Answer, Loss, Module};

use crate::config::ModelConfig;
use crate::publish::{CARD_FILE, TORCHSCRIPT_FILE, WEIGHTS_FILE, card};
use crate::recipe::describe::Description;

/// The extension's schema.
const MLM: &str = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json";
/// What a model does that answers what is there.
const REGRESSION: &str = "regression";
/// What a model does that makes up what is hidden.
const GENERATIVE: &str = "generative";
/// What a model does that answers how likely each class is, pixel by pixel.
const SEGMENTATION: &str = "semantic-segmentation";
/// What a model does that answers how likely a class is for a whole chip.
const CLASSIFICATION: &str = "classification";

/// Writes the item; `made` names the model file of a program.
pub fn item(
    config: &ModelConfig,
    recipe: &Description,
    made: Option<&str>,
) -> Result<Value, GeocodeError> {
    let cell = Geocode::parse(config.scheme, &config.geocode)?.bounds();
    let [west, south, east, north] = [cell.west(), cell.south(), cell.east(), cell.north()];
    let ring = [
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south],
    ];
    Ok(json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM],
        "id": format!("{}-{}", config.run, config.geocode),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": match made {
            None => properties(config, recipe),
            Some(_) => without_framework(properties(config, recipe)),
        },
        "links": [],
        "assets": made.map_or_else(assets, |file| made_assets(config, file)),
    }))
}

fn properties(config: &ModelConfig, recipe: &Description) -> Value {
    let network = &config.network;
    let bands = network.inputs.iter().map(|role| json!({"name": role}));
    let parent = card::parent(config).map(|model| format!("glebe model {model}"));
    json!({
        "title": format!("{} of {} {}", config.recipe, config.scheme, config.geocode),
        "description": format!("Learns the {}. {}", recipe.task, recipe.source),
        "datetime": null,
        "start_datetime": config.data.acquired[0],
        "end_datetime": config.data.acquired[1],
        "bands": bands.collect::<Vec<_>>(),
        "mlm:name": name(config),
        "mlm:architecture": config.recipe,
        "mlm:tasks": [task(config, recipe)],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": env!("GLEBE_LIBTORCH_VERSION"),
        "mlm:total_parameters": network.parameters,
        "mlm:pretrained": parent.is_some(),
        "mlm:pretrained_source": parent,
        "mlm:batch_size_suggestion": config.hyper.batch,
        "mlm:input": [input(config)],
        "mlm:output": [output(config, task(config, recipe))],
        "mlm:hyperparameters": config.hyper,
    })
}

/// Names the model in the letters that the extension allows: `exec:learn` has one more.
fn name(config: &ModelConfig) -> String {
    format!("{} {}", plain(&config.recipe), config.geocode)
}

/// Puts a hyphen for what names of the extensions may not hold.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.replace(|c| !is_plain(c), "-")
}

/// Leaves out what is known of our networks alone.
fn without_framework(mut properties: Value) -> Value {
    if let Some(fields) = properties.as_object_mut() {
        for field in ["framework", "framework_version", "total_parameters"] {
            fields.remove(&format!("mlm:{field}"));
        }
    }
    properties
}

/// Names the files of a model that a program made.
fn made_assets(config: &ModelConfig, file: &str) -> Value {
    json!({
        "model": {
            "href": format!("./{file}"),
            "title": "What the program left",
            "type": "application/octet-stream",
            "roles": ["mlm:model"],
            "mlm:artifact_type": config.recipe,
        },
        "card": card_asset(),
    })
}

fn card_asset() -> Value {
    json!({
        "href": format!("./{CARD_FILE}"),
        "title": "Model card",
        "type": "text/markdown",
        "roles": ["metadata"],
    })
}

fn input(config: &ModelConfig) -> Value {
    let network = &config.network;
    let scaling = config.normalisation.bands.iter();
    let scaling = scaling.map(|s| json!({"type": "z-score", "mean": s.mean, "stddev": s.std}));
    json!({
        "name": "chip",
        "description": format!("reflectance at {} m, without fill", network.resolution_m),
        "bands": network.inputs,
        "input": {
            "shape": [-1, network.inputs.len(), network.chip_px, network.chip_px],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling.collect::<Vec<_>>(),
        "resize_type": null,
    })
}

/// Returns what the model does: one that learned to fool a rival makes images up, one that learned
/// the chances of classes tells them apart.
fn task(config: &ModelConfig, recipe: &Description) -> &'static str {
    match &config.module {
        Some(module) if module.loss.is_of_chances() => match module.answer {
            Answer::Map => SEGMENTATION,
            Answer::Number => CLASSIFICATION,
        },
        _ if recipe.rival.is_empty() => REGRESSION,
        _ => GENERATIVE,
    }
}

fn output(config: &ModelConfig, task: &str) -> Value {
    let shape = match config.network.answer_shape[..] {
        [bands, height, width] => [-1, bands, height, width],
        _ => [-1, 1, 1, 1],
    };
    let classes = config.module.as_ref().map(classes).unwrap_or_default();
    let bands = if classes.len() == config.network.answer_bands.len() {
        "class"
    } else {
        "channel"
    };
    let mut output = json!({
        "name": "answer",
        "description": config.network.answer,
        "tasks": [task],
        "result": {
            "shape": shape,
            "dim_order": ["batch", bands, "height", "width"],
            "data_type": "float32",
        },
        "post_processing_function": made_of_an_answer(config),
    });
    if !classes.is_empty() {
        output["classification:classes"] = classes.into();
    }
    output
}

/// Tells the classes that a module tells apart: as many as it was told of, or what its label says
/// is so and what is not. What they show stands in the label's product.
fn classes(module: &Module) -> Vec<Value> {
    let label = &module.label;
    let class = |(value, name): (u32, String)| {
        json!({
            "value": value,
            "name": name.replace('.', "-"),
            "description": format!("{label} is {value}"),
        })
    };
    match module.loss {
        Loss::CrossEntropy => { 0..module.classes.unwrap_or(0) }
            .map(|value| class((value, format!("class-{value}"))))
            .collect(),
        Loss::Bce => [format!("not-{}", plain(label)), plain(label)]
            .into_iter()
            .zip(0..)
            .map(|(name, value)| class((value, name)))
            .collect(),
        Loss::Mse | Loss::Mae => Vec::new(),
    }
}

/// Tells what becomes of an answer of the model's file: chances of logits, or the label's units.
fn made_of_an_answer(config: &ModelConfig) -> Value {
    let python = |function: &str| json!({"format": "python", "expression": function});
    match config.module.as_ref().map(|module| module.loss) {
        Some(Loss::Bce) => python("torch:sigmoid"),
        // Of four dimensions it is taken over the second: that of the classes.
        Some(Loss::CrossEntropy) => python("torch.nn.functional:softmax"),
        Some(Loss::Mse | Loss::Mae) | None => {
            let label = config.normalisation.label;
            json!({
                "format": "gdal-calc",
                "expression": format!("A*{}+{}", label.std, label.mean),
            })
        }
    }
}

fn assets() -> Value {
    json!({
        "model": {
            "href": format!("./{TORCHSCRIPT_FILE}"),
            "title": "Network with its weights, as TorchScript",
            "type": "application/octet-stream; application=pytorch",
            "roles": ["mlm:model"],
            "mlm:artifact_type": "torch.jit.save",
            "mlm:compile_method": "jit",
        },
        "weights": {
            "href": format!("./{WEIGHTS_FILE}"),
            "title": "Weights by name",
            "type": "application/octet-stream; application=safetensors",
            "roles": ["mlm:weights"],
        },
        "card": card_asset(),
    })
}
