//! Borders: where regions meet, both models answer, and no seam is left.

use std::path::{Path, PathBuf};

use tch::Device;
use trainer::chips::choose::choose;
use trainer::chips::planes;
use trainer::files::read_meta;
use trainer::job::learn;
use trainer::publish;
use trainer::recipe::ndmi_unet::NdmiUnet;
use trainer::recipe::ndvi_cnn::NdviCnn;
use trainer::recipe::{Recipe, Task as _};
use trainer::stop::Stop;

use crate::predict::{map, predict_with, summary};
use crate::world::{CELL, Scene, folder, lease_in, ndvi, quick};

/// The cell east of `CELL`.
const EAST: &str = "gcpvn";
/// Both.
const CELLS: [&str; 2] = [CELL, EAST];
/// What near infrared gains over one cell: each cell's model learns the middle of it, and is wrong
/// by half of it at either border.
const DRIFT: f64 = 0.12;
/// Columns of a cell, and those on either side of the border that are looked at: the default
/// margin, the side of a chip.
const COLUMNS: usize = 320;
const BAND: usize = 16;
/// How much worse a border may be than the rest.
const BAR: f64 = 1.1;

/// What is learned, and of what.
struct World {
    recipe: &'static dyn Recipe,
    scene: fn(&str, u64) -> Scene,
    drift: f64,
}

impl World {
    /// Makes a date of a cell.
    fn date(&self, cell: &str, (name, seed): (&str, u64)) -> Scene {
        Scene {
            cell: cell.to_owned(),
            drift: self.drift,
            ..(self.scene)(name, seed)
        }
    }

    /// Learns a cell's model of the drifting world and writes its folder.
    fn learned(&self, path: &Path, cell: &str) -> PathBuf {
        let split = self.date(cell, ("a", 1)).write(&path.join("splits"));
        let lease = lease_in(cell, self.recipe.name(), (vec![split], quick()));
        let learned = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
        let place = path.join(cell);
        std::fs::create_dir_all(&place).expect("a folder");
        for (name, bytes) in publish::folder(&learned, self.recipe).expect("files") {
            std::fs::write(place.join(name), bytes).expect("a file");
        }
        place
    }

    /// Learns both cells' models, has another date answered, and returns the errors blended, at
    /// hard borders, and as owners answer who see their own cell's pixels alone.
    #[expect(clippy::print_stderr, reason = "figures are printed")]
    fn answered(&self, path: &Path, truth: &[Vec<f32>; 2]) -> [Errors; 3] {
        let models = CELLS.map(|cell| self.learned(path, cell));
        for cell in CELLS {
            let later = self.date(cell, ("later", 9));
            later.write(&path.join("scene"));
            later.write(&path.join(format!("{cell}-scene")));
        }
        let made = |scene: &str, words: &[&str]| {
            let (scene, out) = (path.join(scene), path.join("map.tif"));
            let models = models.each_ref().map(PathBuf::as_path);
            let told = summary(&predict_with(&models, (&scene, &out), words));
            let own = |c: &serde_json::Value| c["kinship"] == "own";
            assert!(told["cells"].as_array().expect("cells").iter().all(own));
            map(&out).bands.remove(0)
        };
        let whole = |words: &[&str]| {
            let rows = made("scene", words);
            Errors::of(rows.chunks_exact(2 * COLUMNS).map(<[f32]>::to_vec), truth)
        };
        let halves = CELLS.map(|cell| made(&format!("{cell}-scene"), &[]));
        let [west, east] = halves.each_ref().map(|map| map.chunks_exact(COLUMNS));
        let rows = west.zip(east).map(|(west, east)| [west, east].concat());
        let all = [
            ("blended", whole(&[])),
            ("hard", whole(&["--margin", "0"])),
            ("by owners", Errors::of(rows, truth)),
        ];
        all.map(|(name, errors)| {
            let Errors {
                border,
                interior,
                jump,
            } = errors;
            let (recipe, ratio) = (self.recipe.name(), border / interior);
            eprintln!("{recipe}, {name}: {border:.4} / {interior:.4} = {ratio:.3}, jump {jump:.4}");
            errors
        })
    }
}

/// Errors of a map against the law, near the border and elsewhere, and how far it jumps there.
struct Errors {
    border: f64,
    interior: f64,
    jump: f64,
}

impl Errors {
    fn of(rows: impl Iterator<Item = Vec<f32>>, truth: &[Vec<f32>; 2]) -> Self {
        let (mut sums, mut counts, mut jumps) = ([0.0; 2], [0.0; 2], Vec::new());
        for (row, line) in rows.enumerate() {
            for (column, value) in line.iter().enumerate() {
                let truth = truth[column / COLUMNS][row * COLUMNS + column % COLUMNS];
                let is_near = usize::from(column.abs_diff(COLUMNS) <= BAND);
                sums[is_near] += f64::from(value - truth).powi(2);
                counts[is_near] += 1.0;
            }
            jumps.push(f64::from(line[COLUMNS] - line[COLUMNS - 1]));
        }
        assert_eq!(jumps.len() * COLUMNS, truth[0].len(), "all rows");
        let rmse = |i: usize| (sums[i] / counts[i]).sqrt();
        Self {
            border: rmse(1),
            interior: rmse(0),
            jump: (jumps.iter().sum::<f64>() / jumps.len() as f64).abs(),
        }
    }
}

#[test]
fn a_map_is_no_worse_along_a_border_than_inside_of_regions_and_has_no_seam() {
    let (_keep, path) = folder();
    let world = World {
        recipe: &NdviCnn,
        scene: Scene::new,
        drift: DRIFT,
    };
    let truth = CELLS.map(|cell| ndvi(cell, DRIFT));
    let [blended, hard, owners] = world.answered(&path, &truth);
    assert!(blended.border <= BAR * blended.interior);
    assert!(hard.border > BAR * hard.interior, "nothing to blend");
    assert!(blended.jump < 0.2 * hard.jump, "a seam");
    assert!(owners.border <= BAR * owners.interior);
    assert!(owners.jump < 0.5 * hard.jump, "a seam between owners");
}

/// What a map of the recipe of maps is to be: the label of the date that is predicted, which holds
/// no noise.
fn moisture(world: &World, path: &Path) -> [Vec<f32>; 2] {
    CELLS.map(|cell| {
        let split = world.date(cell, ("later", 9)).write(&path.join("truth"));
        let meta = read_meta(&split.folder).expect("a split");
        let choice = choose(&meta, NdmiUnet.inputs(), NdmiUnet.label_bands()).expect("bands");
        let planes = planes::read(&split.folder, &meta, &choice, 3).expect("planes");
        NdmiUnet.label(&planes.others).expect("a map")
    })
}

/// Has maps of moisture answered in a world with such a drift.
fn moist(drift: f64) -> [Errors; 3] {
    let (_keep, path) = folder();
    let world = World {
        recipe: &NdmiUnet,
        scene: Scene::moist,
        drift,
    };
    world.answered(&path, &moisture(&world, &path))
}

#[test]
fn a_map_recipe_leaves_no_seam_and_is_worse_along_a_border_only_where_its_land_is_harder() {
    let [blended, hard, owners] = moist(DRIFT);
    assert!(blended.jump < 0.2 * hard.jump, "a seam");
    assert!(owners.jump < 0.5 * hard.jump, "a seam between owners");
    if std::env::var_os("GLEBE_NIGHTLY").is_none() {
        return;
    }
    // The same land under one law: what a border costs there is no matter of two models.
    let [alike, ..] = moist(0.0);
    let land = alike.border / alike.interior;
    for map in [blended, owners] {
        let ratio = map.border / map.interior;
        assert!(ratio <= BAR * land, "{ratio}, {land} without a drift");
    }
}
