//! One model a cell beside one model of all cells, where cells differ and where they do not; and a
//! cell's own beside its parent's.

use std::path::Path;

use tch::Device;
use trainer::chips::pins::Pins;
use trainer::job::learnt::Learnt;
use trainer::job::lesson::{Material, prepare};
use trainer::job::stocked::cuts;
use trainer::job::survey::survey;
use trainer::job::{JobError, Learned, learn_from};
use trainer::network::Network;
use trainer::publish;
use trainer::recipe;
use trainer::seed::Dice;
use wire::hit::FileEntry;
use wire::run::{Hyper, Lease, LeaseSplit};
use wire::transfer::{Heritage, Legacy, TransferMode};

use crate::pinned::setting;
use crate::world::{Scene, folder, lease_in, quick};

/// The cells of one parent.
const CELLS: [&str; 4] = ["gcpvj", "gcpvn", "gcpvh", "gcpvm"];
const PARENT: &str = "gcpv";
/// Reflectance that near infrared gains from one cell to the next, where cells differ.
const DRIFT: f64 = 0.12;

/// A world of four cells and what learned from it.
struct World {
    splits: Vec<LeaseSplit>,
    seed: u64,
    pins: Option<Pins>,
}

impl World {
    fn new(path: &Path, drift: f64, seed: u64) -> Self {
        let scene = |cell: &&str| Scene {
            cell: (*cell).to_owned(),
            drift,
            ..Scene::new(&format!("a{seed}"), seed)
        };
        let splits = CELLS.iter().map(|cell| scene(cell).write(path));
        Self {
            splits: splits.collect(),
            seed,
            pins: None,
        }
    }

    fn lease(&self, cell: &str) -> Lease {
        let of = |split: &&LeaseSplit| split.id.geocode().starts_with(cell);
        let splits = self.splits.iter().filter(of).cloned().collect();
        let hyper = Hyper {
            epochs: 15,
            ..quick()
        };
        let mut lease = lease_in(cell, "ndvi-cnn", (splits, hyper));
        lease.run.seed = self.seed;
        lease
    }

    fn learned(&self, cell: &str) -> Learned {
        learn_from(&self.lease(cell), None, &setting(self.pins.clone())).expect("a model")
    }

    fn material(&self, cell: &str) -> Material {
        let (lease, recipe) = (self.lease(cell), recipe::parse("ndvi-cnn").expect("known"));
        let survey = survey(&lease, recipe).expect("splits");
        let setting = setting(self.pins.clone());
        let cuts = cuts(&survey, recipe, &lease.run.hyper, &setting).expect("chips");
        prepare(&cuts, &lease.run.hyper).expect("enough chips")
    }

    /// Returns the mean squared error of a model at the places of a cell that are held out for a
    /// test.
    fn error(&self, model: &Learned, cell: &str) -> f64 {
        let recipe = recipe::parse("ndvi-cnn").expect("known");
        let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(0, &[]));
        network.set_weights(&model.weights).expect("its weights");
        let learnt = Learnt {
            network: &network,
            normalisation: &model.config.normalisation,
        };
        let material = self.material(cell);
        let exam = material.test.as_ref().expect("a test");
        let errors = learnt.errors(exam, &material.normalisation);
        errors.iter().sum::<f64>() / errors.len() as f64
    }
}

/// Mean of some differences with its 95 % interval, by Student's t.
fn interval(differences: &[f64]) -> (f64, f64) {
    // 97.5 % quantiles of t by degrees of freedom, 3 to 19.
    const T: [f64; 17] = [
        3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093,
    ];
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let t = T[(differences.len() - 4).min(T.len() - 1)];
    (mean, t * (squares / (count - 1.0) / count).sqrt())
}

/// Errors of both at the held-out places of one cell.
struct Row {
    cell: &'static str,
    own: f64,
    global: f64,
}

/// Has each cell's own model and the global one answer what each cell holds out, for some seeds.
fn rows(drift: f64, seeds: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for seed in 1..=seeds {
        let (_keep, path) = folder();
        let world = World::new(&path, drift, seed);
        let whole = world.learned(PARENT);
        assert_eq!(whole.config.data.left_out.other_grid, 0, "of all four");
        for cell in CELLS {
            let model = world.learned(cell);
            let (own, global) = (world.error(&model, cell), world.error(&whole, cell));
            let scored = model.config.metrics.test.expect("a test").mse;
            assert!(
                (own - scored).abs() / scored < 1e-3,
                "one date: places are chips"
            );
            rows.push(Row { cell, own, global });
        }
    }
    rows
}

fn mean(rows: &[&Row], pick: fn(&Row) -> f64) -> f64 {
    rows.iter().map(|row| pick(row)).sum::<f64>() / rows.len() as f64
}

#[test]
fn a_model_a_cell_beats_a_global_one_where_cells_differ_and_not_where_they_do_not() {
    let nightly = std::env::var_os("GLEBE_NIGHTLY").is_some();
    let seeds = if nightly { 5 } else { 3 };
    for (name, drift, differ) in [
        ("cells differ", DRIFT, true),
        ("cells are alike", 0.0, false),
    ] {
        let rows = rows(drift, seeds);
        for cell in CELLS {
            let of: Vec<&Row> = rows.iter().filter(|row| row.cell == cell).collect();
            let (own, global) = (mean(&of, |r| r.own), mean(&of, |r| r.global));
            eprintln!(
                "{name}, {cell}: test MSE partitioned {own:.6}, global {global:.6}, global less \
                 partitioned {:+.6}",
                global - own
            );
        }
        let all: Vec<&Row> = rows.iter().collect();
        let gains: Vec<f64> = rows.iter().map(|row| row.global - row.own).collect();
        let (gain, half) = interval(&gains);
        eprintln!(
            "{name}, all {} of cells and seeds: test MSE partitioned {:.6}, global {:.6}, global less \
             partitioned {gain:+.6} ± {half:.6} (95 %)",
            rows.len(),
            mean(&all, |r| r.own),
            mean(&all, |r| r.global),
        );
        assert_eq!(gain - half > 0.0, differ, "{name}: {gain} ± {half}");
    }
}

#[test]
fn a_model_of_several_cells_is_judged_the_same_when_its_chips_were_left_pinned() {
    let (_keep, path) = folder();
    let mut world = World::new(&path, DRIFT, 1);
    let plain = world.learned(PARENT);
    let each = |world: &World| CELLS.map(|cell| world.error(&plain, cell).to_bits());
    let decoded = each(&world);
    world.pins = Some(Pins {
        folder: path.join("cache/chips"),
        bytes_max: 256 << 20,
    });
    let told = |l: &Learned| (l.config.weights_blake3.clone(), l.config.metrics);
    for chips_decoded in [plain.config.data.chips_decoded, Some(0)] {
        let again = world.learned(PARENT);
        assert_eq!(again.config.data.chips_decoded, chips_decoded);
        assert_eq!(told(&again), told(&plain));
        assert_eq!(again.config.data.blocks, plain.config.data.blocks);
        assert_eq!(each(&world), decoded, "cell by cell");
    }
    // What each cell holds out by itself, and nothing else.
    let own = CELLS.map(|cell| world.material(cell).blocks.validation);
    assert_eq!(plain.config.data.blocks.validation, own.iter().sum::<u64>());
}

/// Has a cell start from its parent and be judged beside it.
fn child(world: &World, cell: &str, parent: &Learned) -> Result<Learned, JobError> {
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let files = publish::folder(parent, recipe).expect("files");
    let file = files.iter().find(|(name, _)| name == publish::WEIGHTS_FILE);
    let bytes = file.expect("weights").1.to_vec();
    let mut lease = world.lease(cell);
    lease.run.transfer.mode = TransferMode::Tree;
    lease.heritage = Some(Heritage {
        donor: PARENT.to_owned(),
        legacy: Legacy::Weights(FileEntry {
            name: publish::WEIGHTS_FILE.to_owned(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
        }),
    });
    learn_from(&lease, Some(&Ok(bytes)), &setting(None))
}

#[test]
fn a_child_is_kept_where_its_cell_is_unlike_the_others_and_dropped_where_it_is_like_them() {
    let (_keep, path) = folder();
    let differ = World::new(&path.join("differ"), DRIFT, 1);
    let parent = differ.learned(PARENT);
    let kept = child(&differ, CELLS[1], &parent).expect("a model of its own");
    let beside = kept.config.descent.as_ref().and_then(|d| d.beside);
    let beside = beside.expect("it was judged");
    assert!(beside.is_better() && beside.places > 50, "{beside:?}");
    let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-3 * wanted;
    assert!(
        near(beside.own_mse, differ.error(&kept, CELLS[1])),
        "{beside:?}"
    );
    assert!(
        near(beside.parent_mse, differ.error(&parent, CELLS[1])),
        "{beside:?}"
    );
    let recipe = recipe::parse("ndvi-cnn").expect("known");
    let files = publish::folder(&kept, recipe).expect("files");
    let card = files.iter().find(|(name, _)| name == "README.md");
    let card = String::from_utf8_lossy(&card.expect("a card").1).into_owned();
    assert!(card.contains("**It is needed**: at the"), "{card}");

    let alike = World::new(&path.join("alike"), 0.0, 1);
    let parent = alike.learned(PARENT);
    let dropped = child(&alike, CELLS[1], &parent).map(|l| l.config.descent);
    let error = dropped.expect_err("its parent answers as well");
    let said = error.to_string();
    let JobError::NoBetter(descent) = error else {
        panic!("{said}");
    };
    let beside = descent.beside.expect("it was judged");
    assert!(!beside.is_better(), "{beside:?}");
    let start = "no better than parent gcpv: mean squared error";
    assert!(said.starts_with(start), "{said}");
    assert!(said.contains("Wilcoxon signed-rank, p = "), "{said}");
}
