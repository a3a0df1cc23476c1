//! What a job learns, and that the same job always learns the same.

use std::time::Instant;

use tch::Device;
use trainer::job::{JobError, Learned, learn};
use trainer::publish::card::card;
use trainer::recipe;
use trainer::stop::Stop;
use wire::run::{HoldOut, Hyper, Lease, Schedule};

use crate::world::{Scene, folder, lease, quick};

fn learned(lease: &Lease) -> Result<Learned, JobError> {
    learn(lease, Device::Cpu, &Stop::default())
}

fn two_dates() -> (tempfile::TempDir, Lease) {
    let (keep, path) = folder();
    let splits = [("a", 1), ("b", 2)].map(|(name, seed)| Scene::new(name, seed).write(&path));
    (keep, lease(splits.to_vec(), quick()))
}

#[test]
fn a_network_beats_the_mean_and_a_line_where_the_law_is_neither() {
    let (_keep, lease) = two_dates();
    #[expect(clippy::disallowed_methods, reason = "the test tells how quick it was")]
    let start = Instant::now();
    let learned = learned(&lease).expect("a model");
    let m = learned.config.metrics;
    let samples = f64::from(m.epochs) * m.chips_train as f64;
    eprintln!(
        "{m:?}; {:.0} samples/s",
        samples / start.elapsed().as_secs_f64()
    );
    assert!(m.val_mse < 0.2 * m.mean_mse, "{m:?}");
    assert!(m.val_mse < 0.2 * m.linear_mse, "{m:?}");
    assert!(
        m.linear_mse > 0.5 * m.mean_mse,
        "a line should not learn this world: {m:?}"
    );
}

#[test]
fn a_test_scores_the_model_on_blocks_that_chose_nothing() {
    let (_keep, mut lease) = two_dates();
    let with = learned(&lease).expect("a model");
    let (m, blocks) = (with.config.metrics, &with.config.data.blocks);
    let test = m.test.expect("a test");
    let each = blocks.train + blocks.validation + blocks.test;
    assert_eq!(
        (blocks.validation, blocks.test),
        (each.div_ceil(5), each / 5)
    );
    let shares = [m.chips_val, test.chips].map(|n| n as f64 / m.chips_train as f64);
    assert!(
        shares.iter().all(|share| (0.2..0.5).contains(share)),
        "{m:?}"
    );
    assert!(test.mse < 0.3 * test.mean_mse.min(test.linear_mse), "{m:?}");
    assert!(
        (test.mse - m.val_mse).abs() > 0.0,
        "other chips, other errors"
    );
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let card = card(&with.config, &recipe.describe(16));
    let said = format!("On {} further chips in {} blocks", test.chips, blocks.test);
    assert!(card.contains(&said), "no '{said}':\n{card}");

    // What nobody scores is learned from, and nothing else changes sides.
    lease.run.hyper.test = 0.0;
    let without = learned(&lease).expect("a model").config.metrics;
    assert_eq!(without.test, None);
    assert_eq!(without.chips_train, m.chips_train + test.chips);
    assert_eq!(without.chips_val, m.chips_val);
}

#[test]
fn the_last_days_are_held_out_and_one_day_is_refused() {
    let (_keep, path) = folder();
    let days = ["2026-05-01", "2026-06-02", "2026-07-03"];
    let times = [
        "2026-05-01T10:00:00Z",
        "2026-06-02T10:00:00Z",
        "2026-07-03T10:00:00Z",
    ];
    let scene = |(at, acquired): (usize, &'static str)| {
        let scene = Scene {
            acquired,
            ..Scene::new(&format!("s{at}"), 1 + at as u64)
        };
        scene.write(&path)
    };
    let splits: Vec<_> = times.into_iter().enumerate().map(scene).collect();
    let hyper = Hyper {
        hold_out: HoldOut::Dates,
        epochs: 2,
        ..quick()
    };
    let model = learned(&lease(splits.clone(), hyper.clone())).expect("a model");
    let told = model.config.data.blocks.days.expect("days");
    assert_eq!(
        (told.validation.as_str(), told.test.as_deref()),
        (days[1], Some(days[2]))
    );
    let m = model.config.metrics;
    let chips = [m.chips_train, m.chips_val, m.test.expect("a test").chips];
    assert_eq!(chips, [chips[0]; 3], "the whole of each day");

    let refused = learned(&lease(splits[..1].to_vec(), hyper)).expect_err("one day");
    assert!(refused.hopeless());
    assert!(
        refused
            .to_string()
            .contains("no cell has chips of two days in the 1 splits"),
        "{refused}"
    );
}

#[test]
fn a_rate_warms_up_and_goes_on_as_asked() {
    let (_keep, mut lease) = two_dates();
    let hyper = &mut lease.run.hyper;
    (hyper.epochs, hyper.warm_up, hyper.schedule) = (4, 1, Schedule::Step(vec![2]));
    let rates: Vec<f64> = learned(&lease)
        .expect("a model")
        .epochs
        .iter()
        .map(|epoch| epoch.learning_rate / 3e-3)
        .collect();
    for (rate, told) in rates.iter().zip([0.5, 1.0, 0.1, 0.1]) {
        assert!((rate - told).abs() < 1e-12, "{rates:?}");
    }
    let stepped = learned(&lease).expect("a model").config.weights_blake3;
    lease.run.hyper.schedule = Schedule::Constant;
    let constant = learned(&lease).expect("a model").config.weights_blake3;
    assert_ne!(stepped, constant, "a rate that is told and not stepped by");
}

#[test]
fn the_same_seed_gives_the_same_weights_whatever_the_order_of_splits() {
    let (_keep, mut lease) = two_dates();
    lease.run.hyper.epochs = 3;
    let first = learned(&lease).expect("a model").config.weights_blake3;
    lease.splits.reverse();
    lease.token += 1;
    assert_eq!(
        first,
        learned(&lease).expect("a model").config.weights_blake3
    );
    lease.run.seed += 1;
    assert_ne!(
        first,
        learned(&lease).expect("a model").config.weights_blake3
    );
}

/// Threads share sums; each adds its own part in an order of its own.
#[test]
fn two_threads_give_the_same_weights_twice() {
    let (_keep, mut lease) = two_dates();
    lease.splits.truncate(1);
    lease.run.hyper.threads = 2;
    lease.run.hyper.epochs = 1;
    let [one, other] = [(); 2].map(|()| learned(&lease).expect("a model").config);
    assert_eq!(one.hyper.threads, 2);
    assert_eq!(one.weights_blake3, other.weights_blake3);
}

#[test]
fn the_next_worker_learns_what_a_killed_one_would_have() {
    let (_keep, mut lease) = two_dates();
    lease.run.hyper.epochs = 3;
    let whole = learned(&lease).expect("a model").config.weights_blake3;
    // One worker got through an epoch, another was stopped; their leases expire and the next starts
    // afresh, here even in the same process with whatever they left in libtorch's global state.
    let mut begun = lease.clone();
    begun.run.hyper.epochs = 1;
    learned(&begun).expect("an epoch");
    let stop = Stop::default();
    let halfway = stop.clone();
    let job = lease.clone();
    let worker = std::thread::spawn(move || learn(&job, Device::Cpu, &halfway).map(|_| ()));
    stop.wish();
    let ended = worker.join().expect("no panic");
    assert!(
        matches!(&ended, Err(e) if e.to_string() == "stopped"),
        "{ended:?}"
    );
    lease.token += 1;
    assert_eq!(
        whole,
        learned(&lease).expect("a model").config.weights_blake3
    );
}

#[test]
fn too_few_chips_are_a_hopeless_failure_that_says_why() {
    let (_keep, path) = folder();
    let scene = Scene {
        fill_columns: 310,
        ..Scene::new("a", 1)
    };
    let failed = learned(&lease(vec![scene.write(&path)], quick())).expect_err("no chips");
    assert!(failed.hopeless());
    let text = failed.to_string();
    assert!(text.starts_with("too few chips of 16 pixels"), "{text}");
    assert!(text.contains("600 for fill"), "{text}");
}

#[test]
fn splits_without_a_near_infrared_band_are_told_by_name() {
    let (_keep, path) = folder();
    let scene = Scene {
        nir: ("B05", "rededge071", 10.0),
        ..Scene::new("a", 1)
    };
    let failed = learned(&lease(vec![scene.write(&path)], quick())).expect_err("no band");
    assert!(failed.hopeless());
    let text = failed.to_string();
    assert!(
        text.contains("no nir band (it has: B02, B03, B04, B05)"),
        "{text}"
    );
}

#[test]
fn a_learning_rate_that_explodes_is_a_failure_and_no_model() {
    let (_keep, mut lease) = two_dates();
    lease.run.hyper.learning_rate = 1e30;
    let failed = learned(&lease).expect_err("no weights");
    assert!(failed.hopeless());
    assert!(failed.to_string().contains("is not finite"), "{failed}");
}

#[test]
fn near_infrared_of_another_resolution_is_brought_onto_the_grid_and_told() {
    let (_keep, path) = folder();
    let fine = Scene::new("a", 1);
    let coarse = Scene {
        nir: ("B8A", "nir08", 20.0),
        ..Scene::new("b", 2)
    };
    let splits = [fine, coarse].map(|s| s.write(&path)).to_vec();
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    let config = learned(&lease(splits, hyper)).expect("a model").config;
    let told = serde_json::to_value(&config.data.bands).expect("JSON");
    assert_eq!(told[0]["bands"][4]["name"], "B08");
    assert_eq!(told[0]["bands"][4]["onto"], "same");
    assert_eq!(told[1]["bands"][4]["name"], "B8A");
    assert_eq!(told[1]["bands"][4]["onto"], "nearest");
    assert_eq!(config.splits, 2);
}

#[test]
fn clouded_chips_are_left_out() {
    let (_keep, path) = folder();
    let scene = Scene {
        cloud_columns: 160,
        ..Scene::new("a", 1)
    };
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    let config = learned(&lease(vec![scene.write(&path)], hyper))
        .expect("a model")
        .config;
    let clouded = config.data.chips_left_out.cloud;
    assert!(
        (290..=310).contains(&clouded),
        "{clouded} of 600 chips, half of them under cloud"
    );
}

#[test]
fn splits_on_another_grid_are_counted_and_not_mixed_in() {
    let (_keep, path) = folder();
    let mut splits: Vec<_> = [("a", 1), ("b", 2)]
        .map(|(n, s)| Scene::new(n, s).write(&path))
        .into();
    let other = Scene {
        rgb_m: 20.0,
        nir: ("B8A", "nir08", 20.0),
        ..Scene::new("c", 3)
    };
    splits.push(other.write(&path));
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    let config = learned(&lease(splits, hyper)).expect("a model").config;
    assert_eq!((config.splits, config.data.left_out.other_grid), (2, 1));
    assert!((config.network.resolution_m - 10.0).abs() < 1e-9);
}

#[test]
fn a_damaged_split_is_no_hopeless_failure_of_a_band_but_of_that_file() {
    let (_keep, path) = folder();
    let split = Scene::new("a", 1).write(&path);
    let file = split.folder.join("r10.tif");
    let mut bytes = std::fs::read(&file).expect("a file");
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    let failed = learned(&lease(vec![split], quick())).expect_err("a damaged file");
    let text = failed.to_string();
    assert!(text.contains("r10.tif is damaged"), "{text}");
    assert!(
        !failed.hopeless(),
        "a repaired replica may be read next time"
    );
}
