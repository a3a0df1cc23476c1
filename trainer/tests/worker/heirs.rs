//! Heirs: from their donor's weights where these do better, cold where they do not.

use std::collections::BTreeMap;
use std::time::Duration;

use tch::Device;
use trainer::diary::Diary;
use trainer::job::heir::Gift;
use trainer::job::{Learned, Setting, learn, learn_from};
use trainer::publish;
use trainer::recipe;
use trainer::stop::Stop;
use trainer::weights::{decode, encode, facts};
use wire::diary::Event;
use wire::hit::FileEntry;
use wire::run::{Hyper, Lease};
use wire::transfer::{Heritage, Legacy};

use crate::folder::{asked, published, python};
use crate::node::{Node, Temper};
use crate::world::{Scene, folder, lease, lease_of, quick};

/// A neighbour of the cell of all tests: the same land, other noise.
const DONOR: &str = "gcpvn";

/// What a donor leaves: its file of weights.
fn donated(path: &std::path::Path, recipe: &str) -> Vec<u8> {
    let scene = |name| match recipe {
        "ndmi-unet" => Scene::moist(name, 5),
        _ => Scene::new(name, 5),
    };
    let scene = Scene {
        cell: DONOR.to_owned(),
        ..scene("donor")
    };
    let mut donor = lease_of(recipe, vec![scene.write(path)], quick());
    DONOR.clone_into(&mut donor.geocode);
    let learned = learn(&donor, Device::Cpu, &Stop::default()).expect("a donor");
    let files = publish::folder(&learned, recipe::parse(recipe).expect("known")).expect("files");
    let file = files
        .into_iter()
        .find(|(name, _)| name == publish::WEIGHTS_FILE);
    file.expect("weights").1.to_vec()
}

fn heir(path: &std::path::Path, epochs: u32) -> Lease {
    let hyper = Hyper { epochs, ..quick() };
    let splits = vec![Scene::new("a", 1).write(path)];
    Lease {
        heritage: Some(Heritage {
            donor: DONOR.to_owned(),
            legacy: Legacy::Awaited,
        }),
        ..lease(splits, hyper)
    }
}

fn learned(lease: &Lease, gift: &Gift) -> Learned {
    learn_from(lease, Some(gift), &setting()).expect("a model")
}

fn setting() -> Setting {
    Setting {
        device: Device::Cpu,
        stop: Stop::default(),
        diary: Diary::default(),
        checkpoint_every: Duration::ZERO,
        pins: None,
        bytes_max: None,
        module: None,
    }
}

fn cold(lease: &Lease) -> Learned {
    let alone = Lease {
        heritage: None,
        ..lease.clone()
    };
    learn(&alone, Device::Cpu, &Stop::default()).expect("a model")
}

#[test]
fn an_heir_goes_on_where_its_donor_stopped_and_is_the_same_each_time() {
    let (_keep, path) = folder();
    let bytes = donated(&path, "ndvi-cnn");
    let lease = heir(&path, 2);
    let setting = setting();
    let gift: Gift = Ok(bytes.clone());
    let warm = learn_from(&lease, Some(&gift), &setting).expect("a model");
    let told = setting.diary.take();
    let told = told.iter().filter_map(|entry| match &entry.event {
        Event::Epoch(told) => Some((told.epoch, told.validation_mse)),
        Event::Said(_) => None,
    });
    let each = { warm.epochs.iter() }.map(|epoch| (epoch.epoch, epoch.validation_mse));
    assert_eq!(
        told.collect::<Vec<_>>(),
        each.collect::<Vec<_>>(),
        "epochs of the trial, too"
    );
    let descent = warm.config.descent.clone().expect("a descent");
    assert!(descent.warm, "{descent:?}");
    assert_eq!((descent.donor.as_str(), descent.reason), (DONOR, None));
    assert_eq!(descent.bytes, bytes.len() as u64);
    let hash = blake3::hash(&bytes).to_hex().to_string();
    assert_eq!(descent.weights_blake3, Some(hash));
    let cold = cold(&lease);
    let trial = descent.trial.expect("both starts were tried");
    let first = |l: &Learned| l.epochs[0].validation_mse;
    assert_eq!(trial.warm_mse, Some(first(&warm)));
    assert_eq!(trial.cold_mse, Some(first(&cold)));
    assert!(first(&warm) < 0.5 * first(&cold), "{trial:?}");
    assert_eq!(warm.config.normalisation, cold.config.normalisation);
    let again = learned(&lease, &Ok(bytes));
    assert_eq!(again.config.weights_blake3, warm.config.weights_blake3);
    assert_ne!(cold.config.weights_blake3, warm.config.weights_blake3);
}

/// Checks that an heir given this starts cold, for such a reason, as if it had no donor.
fn falls_back(gift: &Gift, said: &str) {
    let (_keep, path) = folder();
    let lease = heir(&path, 3);
    let heir = learned(&lease, gift);
    let descent = heir.config.descent.clone().expect("a descent");
    let reason = descent.reason.expect("a reason");
    assert!(!descent.warm && reason.contains(said), "{reason}");
    assert!(
        !descent.told,
        "what it did not start from was told to nobody"
    );
    let cold = cold(&lease);
    assert_eq!(heir.config.weights_blake3, cold.config.weights_blake3);
    assert_eq!(heir.epochs, cold.epochs);
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let files: BTreeMap<_, _> = publish::folder(&heir, recipe)
        .expect("files")
        .into_iter()
        .collect();
    let card = String::from_utf8_lossy(&files["README.md"]).into_owned();
    assert!(card.contains("**Cold**") && card.contains(said), "{card}");
    assert!(!card.contains("base_model"), "{card}");
}

#[test]
fn an_heir_that_does_worse_from_its_donor_falls_back_and_is_to_the_bit_a_cold_start() {
    let (_keep, path) = folder();
    let bytes = donated(&path, "ndvi-cnn");
    let mut weights = decode(&bytes).expect("weights");
    // Far off: what it answers is a thousand deviations away, and learning back takes long.
    for weight in weights.values_mut() {
        weight.values.iter_mut().for_each(|v| *v *= 30.0);
    }
    let strange = encode(&weights, &facts(&bytes).expect("facts"));
    falls_back(&Ok(strange), "validation error was");
    for weight in weights.values_mut() {
        weight.values.fill(f32::MAX);
    }
    let endless = encode(&weights, &facts(&bytes).expect("facts"));
    falls_back(&Ok(endless), "no finite loss from the donor's weights");
}

#[test]
fn weights_that_are_no_use_are_named_and_the_heir_starts_cold() {
    let (_keep, path) = folder();
    let map = donated(&path, "ndmi-unet");
    falls_back(&Ok(map), "they are of recipe ndmi-unet");
    falls_back(&Ok(b"no weights at all".to_vec()), "cannot be read");
    falls_back(
        &Err("donor gcpvn was cancelled".to_owned()),
        "was cancelled",
    );
}

/// The card of what was learned.
fn card(learned: &Learned) -> String {
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let files = publish::folder(learned, recipe).expect("files");
    let files: BTreeMap<_, _> = files.into_iter().collect();
    String::from_utf8_lossy(&files["README.md"]).into_owned()
}

#[test]
fn the_card_of_a_trees_child_speaks_of_its_parent_and_of_no_donor() {
    let (_keep, path) = folder();
    let bytes = donated(&path, "ndvi-cnn");
    let mut child = heir(&path, 1);
    if let Some(heritage) = &mut child.heritage {
        // The cell around the child's.
        "gcpv".clone_into(&mut heritage.donor);
    }
    let gifts: [(Gift, &str); 2] = [
        (
            Ok(bytes),
            "From the weights of parent `gcpv` of the same run",
        ),
        (
            Ok(b"none".to_vec()),
            "**Cold**: it was to start from the weights of parent `gcpv` of the same run, but the \
             weights of parent gcpv are of no use",
        ),
    ];
    for (gift, said) in gifts {
        let card = card(&learned(&child, &gift));
        assert!(card.contains(said), "no '{said}':\n{card}");
        assert!(!card.contains("donor"), "{card}");
    }
}

#[test]
fn card_and_item_name_the_parent() {
    let (_keep, path) = folder();
    let bytes = donated(&path, "ndvi-cnn");
    let warm = learned(&heir(&path, 1), &Ok(bytes));
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let files: BTreeMap<_, _> = publish::folder(&warm, recipe)
        .expect("files")
        .into_iter()
        .collect();
    let card = String::from_utf8_lossy(&files["README.md"]).into_owned();
    for said in [
        "base_model: \"spring/gcpvn\"",
        "donor `gcpvn`",
        "Validation errors after",
    ] {
        assert!(card.contains(said), "no '{said}':\n{card}");
    }
    let item: serde_json::Value = serde_json::from_slice(&files["item.json"]).expect("JSON");
    let properties = &item["properties"];
    assert_eq!(properties["mlm:pretrained"], true);
    assert_eq!(
        properties["mlm:pretrained_source"],
        "glebe model spring/gcpvn"
    );
    let Some(python) = python() else { return };
    let (_, place) = published(&heir(&path, 1), &path);
    std::fs::write(place.join("item.json"), &files["item.json"]).expect("an item");
    let told = asked(&python, "mlm.py", &[&place.join("item.json")]);
    assert_eq!(told["name"], "ndvi-cnn gcpvj");
}

#[test]
fn a_lease_is_renewed_while_the_donors_file_is_fetched() {
    let (_keep, path) = folder();
    let bytes = donated(&path, "ndvi-cnn");
    let mut job = heir(&path, 1);
    job.expires_millis = 150;
    let file = FileEntry {
        name: publish::WEIGHTS_FILE.to_owned(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    };
    if let Some(heritage) = &mut job.heritage {
        heritage.legacy = Legacy::Weights(file);
    }
    // It sends the file once the lease was renewed twice, and not before.
    let node = Node::holding(vec![job], bytes);
    assert!(crate::leases::end(crate::leases::start(&node.url)).success());
    let config = &crate::packed::configs(&node)["gcpvj"];
    assert_eq!(config["descent"]["warm"], true, "{config}");
}

#[test]
fn a_donors_file_that_its_node_has_not_costs_the_warm_start_and_not_the_model() {
    let (_keep, path) = folder();
    let mut job = heir(&path, 1);
    let file = FileEntry {
        name: publish::WEIGHTS_FILE.to_owned(),
        bytes: 4,
        blake3: "ab".repeat(32),
    };
    if let Some(heritage) = &mut job.heritage {
        heritage.legacy = Legacy::Weights(file);
    }
    let node = Node::lending(vec![job], Temper::Kind);
    assert!(crate::leases::end(crate::leases::start(&node.url)).success());
    node.heard(|heard| {
        let (bundle, _) = &heard.models[0];
        let at = bundle
            .header
            .files
            .iter()
            .position(|f| f.name == "config.json");
        let config: serde_json::Value =
            serde_json::from_slice(&bundle.files[at.expect("a config")]).expect("JSON");
        assert_eq!(config["descent"]["warm"], false);
        let reason = config["descent"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("there is no such file"), "{reason}");
    });
}
