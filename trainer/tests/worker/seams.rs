//! Borders: where regions meet, both models answer, and no seam is left.

use std::path::{Path, PathBuf};

use tch::Device;
use trainer::chips::choose::choose;
use trainer::chips::planes;
use trainer::files::read_meta;
use trainer::job::learn;
use trainer::publish;
use trainer::recipe::Recipe;
use trainer::recipe::ndmi_unet::NdmiUnet;
use trainer::recipe::ndvi_cnn::NdviCnn;
use trainer::stop::Stop;

use crate::predict::{map, predict_with, summary};
use crate::streaming::cell;
use crate::world::{Ground, Scene, folder, lease_in, ndvi, quick};

/// What near infrared gains over one cell: each cell's model learns the middle of it, and is wrong
/// by half of it at either border.
const DRIFT: f64 = 0.12;
/// Columns of a cell, and those on either side of the border that are looked at: the default
/// margin, the side of a chip.
const COLUMNS: usize = 320;
const BAND: usize = 16;
/// How much worse a border may be than the rest.
const BAR: f64 = 1.1;
/// Lands that maps are made of: one border is one draw of land and of blocks that are held out.
const LANDS: [&str; 4] = ["land", "hills", "plain", "shore"];

/// What is learned, and of what.
struct World {
    recipe: &'static dyn Recipe,
    scene: fn(&str, u64) -> Scene,
    drift: f64,
    ground: Ground,
    /// A cell and the one east of it.
    cells: [String; 2],
}

impl World {
    /// The worlds of vegetation and of moisture on the land of that number, each of other cells.
    fn new(recipe: &'static dyn Recipe, land: usize) -> Self {
        let south = u32::try_from(land).expect("a few lands");
        Self {
            recipe,
            scene: if recipe.name() == "ndvi-cnn" {
                Scene::new
            } else {
                Scene::moist
            },
            drift: DRIFT,
            ground: Ground {
                word: LANDS[land],
                ..Ground::default()
            },
            cells: [cell(0, south), cell(1, south)],
        }
    }

    /// Makes a date of a cell.
    fn date(&self, cell: &str, (name, seed): (&str, u64)) -> Scene {
        Scene {
            cell: cell.to_owned(),
            drift: self.drift,
            ground: self.ground,
            ..(self.scene)(name, seed)
        }
    }

    /// Learns a cell's model and writes its folder.
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

    /// What a map is to be: the law of NDVI, or the label of the date that is predicted, which has
    /// no noise.
    fn truth(&self, path: &Path, cell: &str) -> Vec<f32> {
        if self.recipe.name() == "ndvi-cnn" {
            assert_eq!(self.ground.word, LANDS[0], "the land of that law");
            return ndvi(cell, self.drift);
        }
        let split = self.date(cell, ("later", 9)).write(&path.join("truth"));
        let meta = read_meta(&split.folder).expect("a split");
        let task = self.recipe;
        let choice = choose(&meta, task.inputs(), task.label_bands()).expect("bands");
        let planes = planes::read(&split.folder, &meta, &choice, 3).expect("planes");
        task.label(&planes.others).expect("a map")
    }

    /// Learns both cells' models, has another date answered, and returns the errors blended, at
    /// hard borders, and as owners answer who see their own cell's pixels alone.
    fn errors(&self) -> [Errors; 3] {
        let (_keep, path) = folder();
        let models = self.cells.each_ref().map(|cell| self.learned(&path, cell));
        for cell in &self.cells {
            let later = self.date(cell, ("later", 9));
            later.write(&path.join("scene"));
            later.write(&path.join(cell.to_owned() + "-scene"));
        }
        let truth = self.cells.each_ref().map(|cell| self.truth(&path, cell));
        let whole = |words: &[&str]| {
            let map = answers(&models, &path.join("scene"), words);
            Errors::of(map.chunks_exact(2 * COLUMNS).map(<[f32]>::to_vec), &truth)
        };
        let half = |cell: &String| path.join(cell.to_owned() + "-scene");
        let halves = self
            .cells
            .each_ref()
            .map(|c| answers(&models, &half(c), &[]));
        let [west, east] = halves.each_ref().map(|map| map.chunks_exact(COLUMNS));
        let rows = west.zip(east).map(|(west, east)| [west, east].concat());
        [
            whole(&[]),
            whole(&["--margin", "0"]),
            Errors::of(rows, &truth),
        ]
    }

    /// Learns one model of a cell that lies half a cell farther east, so that no border runs where
    /// one did, and returns the error of the map that it answers around its middle.
    fn without_border(mut self) -> Sum {
        self.ground.east += 0.5;
        let (_keep, path) = folder();
        let [cell, _] = &self.cells;
        let models = [self.learned(&path, cell)];
        self.date(cell, ("later", 9)).write(&path.join("scene"));
        let truth = self.truth(&path, cell);
        let map = answers(&models, &path.join("scene"), &[]);
        let mut sum = Sum::default();
        for (i, (value, truth)) in map.iter().zip(&truth).enumerate() {
            if (i % COLUMNS).abs_diff(COLUMNS / 2) <= BAND {
                sum.add(value - truth);
            }
        }
        sum
    }
}

/// Has models answer another date's splits in that folder.
fn answers(models: &[PathBuf], scene: &Path, words: &[&str]) -> Vec<f32> {
    let out = scene.with_extension("tif");
    let models: Vec<&Path> = models.iter().map(PathBuf::as_path).collect();
    let told = summary(&predict_with(&models, (scene, &out), words));
    let own = |c: &serde_json::Value| c["kinship"] == "own";
    assert!(told["cells"].as_array().expect("cells").iter().all(own));
    map(&out).bands.remove(0)
}

/// A sum of squared errors.
#[derive(Clone, Copy, Default)]
struct Sum {
    squares: f64,
    count: f64,
}

impl Sum {
    fn add(&mut self, error: f32) {
        self.squares += f64::from(error).powi(2);
        self.count += 1.0;
    }

    fn merge(&mut self, other: Self) {
        self.squares += other.squares;
        self.count += other.count;
    }

    /// Returns the root of the mean.
    fn rmse(self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

/// Errors of maps against the law, near borders and elsewhere, and how far they jump there.
#[derive(Clone, Copy, Default)]
struct Errors {
    border: Sum,
    interior: Sum,
    /// Mean of the steps across, of each map.
    jump: f64,
    maps: f64,
}

impl Errors {
    fn of(rows: impl Iterator<Item = Vec<f32>>, truth: &[Vec<f32>; 2]) -> Self {
        let (mut errors, mut jumps) = (Self::default(), Vec::new());
        for (row, line) in rows.enumerate() {
            for (column, value) in line.iter().enumerate() {
                let truth = truth[column / COLUMNS][row * COLUMNS + column % COLUMNS];
                let is_near = column.abs_diff(COLUMNS) <= BAND;
                let sum = if is_near {
                    &mut errors.border
                } else {
                    &mut errors.interior
                };
                sum.add(value - truth);
            }
            jumps.push(f64::from(line[COLUMNS] - line[COLUMNS - 1]));
        }
        assert_eq!(jumps.len() * COLUMNS, truth[0].len(), "all rows");
        errors.jump = (jumps.iter().sum::<f64>() / jumps.len() as f64).abs();
        Self {
            maps: 1.0,
            ..errors
        }
    }

    fn merge(&mut self, other: &Self) {
        self.border.merge(other.border);
        self.interior.merge(other.interior);
        self.jump += other.jump;
        self.maps += other.maps;
    }

    /// Returns how much worse borders are than the rest.
    fn ratio(&self) -> f64 {
        self.border.rmse() / self.interior.rmse()
    }

    fn step(&self) -> f64 {
        self.jump / self.maps
    }
}

/// Measures maps of so many lands, each with a border of its own.
#[expect(clippy::print_stderr, reason = "figures are printed")]
fn measured(recipe: &'static dyn Recipe, (lands, drift): (usize, f64)) -> [Errors; 3] {
    let mut all = [Errors::default(); 3];
    for land in 0..lands {
        let world = World {
            drift,
            ..World::new(recipe, land)
        };
        for (sum, errors) in all.iter_mut().zip(world.errors()) {
            sum.merge(&errors);
        }
    }
    let name = recipe.name();
    for (how, errors) in ["blended", "hard", "by owners"].into_iter().zip(&all) {
        let (border, interior) = (errors.border.rmse(), errors.interior.rmse());
        let (ratio, step) = (errors.ratio(), errors.step());
        eprintln!(
            "{name}, {lands} lands, drift {drift}, {how}: border {border:.4}, interior \
             {interior:.4}, ratio {ratio:.3}, step {step:.4}"
        );
    }
    all
}

/// Holds that borders are no worse than the rest and leave no seam, which hard ones do.
fn hold([blended, hard, owners]: &[Errors; 3]) {
    assert!(blended.ratio() <= BAR, "{}", blended.ratio());
    assert!(owners.ratio() <= BAR, "by owners: {}", owners.ratio());
    assert!(hard.ratio() > BAR, "nothing to blend: {}", hard.ratio());
    assert!(blended.step() < 0.2 * hard.step(), "a seam");
    assert!(owners.step() < 0.5 * hard.step(), "a seam between owners");
}

#[test]
fn a_map_is_no_worse_along_a_border_than_inside_of_regions_and_has_no_seam() {
    hold(&measured(&NdviCnn, (1, DRIFT)));
}

/// Said to be harder along borders than elsewhere for a time: the bands at 20 m of the test's land
/// lay up to fourteen pixels beside those at 10 m, the more the nearer to one border.
#[test]
fn a_map_of_a_map_recipe_is_no_worse_along_a_border_and_has_no_seam() {
    hold(&measured(&NdmiUnet, (1, DRIFT)));
}

#[test]
fn borders_of_several_lands_are_no_worse_than_the_same_land_inside_of_a_region() {
    if std::env::var_os("GLEBE_NIGHTLY").is_none() {
        return;
    }
    hold(&measured(&NdmiUnet, (LANDS.len(), DRIFT)));
    let [alike, ..] = measured(&NdmiUnet, (LANDS.len(), 0.0));
    let mut inside = Sum::default();
    for land in 0..LANDS.len() {
        let world = World::new(&NdmiUnet, land);
        inside.merge(
            World {
                drift: 0.0,
                ..world
            }
            .without_border(),
        );
    }
    let ratio = alike.border.rmse() / inside.rmse();
    eprintln!(
        "the same land inside: {:.4}, border {ratio:.3} of that",
        inside.rmse()
    );
    assert!(
        alike.ratio() <= BAR && ratio <= BAR,
        "{} {ratio}",
        alike.ratio()
    );
}
