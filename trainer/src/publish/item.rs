//! `item.json` of a model folder: a STAC Item with the machine-learning-model extension (MLM 1.4).
//!
//! *Invariants*: every number is the config's; bands are named by what they show; the folder's
//! files are named relative to the item.
//!
//! *Not here*: the search for models (node).

use earth::geocode::{Geocode, GeocodeError};
use serde_json::{Value, json};

use crate::config::ModelConfig;
use crate::publish::{CARD_FILE, TORCHSCRIPT_FILE, WEIGHTS_FILE, card};
use crate::recipe::describe::Description;

/// The extension's schema.
const MLM: &str = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json";
/// What a model does that answers what is there.
const REGRESSION: [&str; 1] = ["regression"];
/// What a model does that makes up what is hidden.
const GENERATIVE: [&str; 1] = ["generative"];

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
        "assets": made.map_or_else(assets, made_assets),
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
        "mlm:name": format!("{} {}", config.recipe, config.geocode),
        "mlm:architecture": config.recipe,
        "mlm:tasks": tasks(recipe),
        "mlm:framework": "PyTorch",
        "mlm:framework_version": env!("GLEBE_LIBTORCH_VERSION"),
        "mlm:total_parameters": network.parameters,
        "mlm:pretrained": parent.is_some(),
        "mlm:pretrained_source": parent,
        "mlm:batch_size_suggestion": config.hyper.batch,
        "mlm:input": [input(config)],
        "mlm:output": [output(config, tasks(recipe))],
        "mlm:hyperparameters": config.hyper,
    })
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
fn made_assets(file: &str) -> Value {
    json!({
        "model": {
            "href": format!("./{file}"),
            "title": "What the program left",
            "type": "application/octet-stream",
            "roles": ["mlm:model"],
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

/// Returns the tasks of a recipe: one that learned to fool a rival makes images up.
fn tasks(recipe: &Description) -> [&'static str; 1] {
    if recipe.rival.is_empty() {
        REGRESSION
    } else {
        GENERATIVE
    }
}

fn output(config: &ModelConfig, tasks: [&str; 1]) -> Value {
    let label = config.normalisation.label;
    let shape = match config.network.answer_shape[..] {
        [bands, height, width] => [-1, bands, height, width],
        _ => [-1, 1, 1, 1],
    };
    json!({
        "name": "answer",
        "description": config.network.answer,
        "tasks": tasks,
        "result": {
            "shape": shape,
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "post_processing_function": {
            "format": "gdal-calc",
            "expression": format!("A*{}+{}", label.std, label.mean),
        },
    })
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
