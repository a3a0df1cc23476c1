//! What is learned from what: recipes, found by name in one list.
//!
//! A new recipe is a file of this folder and a line in `RECIPES` (docs/ADDING_A_RECIPE.md).
//!
//! *Invariants*: a recipe names its bands by what they show, never by a product's own names; its
//! description names exactly the tensors of its network.
//!
//! *Not here*: how chips are cut (`chips`), how weights are found (`fit`).

pub mod describe;
pub mod ndmi_unet;
pub mod ndvi_cnn;
pub mod needs;
pub mod spagan;

use std::fmt::Debug;

use query::pairs::Rule;
use tch::{Tensor, nn};

use crate::loss;
use crate::recipe::describe::Description;
use crate::seed::Dice;
use crate::torchscript::TorchScriptError;
use crate::units::Ends;

/// All recipes, by name.
pub static RECIPES: [&dyn Recipe; 3] = [&ndmi_unet::NdmiUnet, &ndvi_cnn::NdviCnn, &spagan::SpaGan];

/// What is learned from what, by whomever.
pub trait Task: Debug + Sync {
    /// Returns the name.
    fn name(&self) -> &'static str;

    /// Returns the bands that enter the network, in the order of its channels.
    fn inputs(&self) -> &'static [BandWish];

    /// Returns the bands that the label is computed from.
    fn label_bands(&self) -> &'static [BandWish];

    /// Returns what is answered for a chip.
    fn answer(&self) -> Answer;

    /// Returns what the side of a chip must be a multiple of.
    fn chip_px_step(&self) -> u32;

    /// Computes the label of a chip from the pixels of its label bands.
    ///
    /// One number or one a pixel, as `answer` says; NaN where a pixel's has no meaning, `None`
    /// where none has one.
    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>>;

    /// Returns which splits make a pair, of a recipe whose label is a clear split and whose inputs
    /// are the cloudy one beside it; unless the run's query names another rule.
    fn pairs(&self) -> Option<Rule> {
        None
    }

    /// Tells whether labels are chances, 0..=1, learned as they are and not standardised.
    fn is_of_chances(&self) -> bool {
        false
    }
}

/// A task with the network that learns it.
pub trait Recipe: Task {
    /// Builds the network under `root` with first weights drawn from `dice`.
    fn network(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Box<dyn Net>;

    /// Builds the rival that the network learns to fool, where there is one, under `root`.
    fn rival(&self, _root: &nn::Path<'_>, _dice: &mut Dice) -> Option<Box<dyn Rival>> {
        None
    }

    /// Names the weights at which numbers enter and leave the network, if they do so at linear
    /// layers and nowhere else.
    fn ends(&self) -> Option<Ends> {
        None
    }

    /// Describes the recipe for chips of that side.
    fn describe(&self, chip_px: i64) -> Description;
}

/// A network, whatever its layers.
pub trait Net: Debug + Send {
    /// Maps normalised chips [n, channels, side, side] to standardised answers: [n, 1, 1, 1] for
    /// one number a chip, [n, bands, side, side] for as many a pixel.
    fn forward(&self, chips: &Tensor, phase: Phase) -> Tensor;

    /// Maps chips as `forward` does; beside the answers, of a network that attends to what hides
    /// the ground, how much to each pixel: [n, 1, side, side], 0..=1.
    fn attend(&self, chips: &Tensor, phase: Phase) -> (Tensor, Option<Tensor>) {
        (self.forward(chips, phase), None)
    }

    /// Returns a user's module as the bytes of its file; none of our networks, which are traced.
    fn script(&self) -> Option<Result<Vec<u8>, TorchScriptError>> {
        None
    }

    /// Returns, of what was answered to learn, what is made small, and the mean squared error.
    fn losses(&self, answers: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        let mse = loss::mse(answers, labels);
        (mse.shallow_clone(), mse)
    }
}

/// A network that tells answers from labels: another learns to fool it.
pub trait Rival: Debug + Send {
    /// Judges standardised images [n, bands, side, side] beside the chips that they belong to,
    /// place by place: above 0 for a label, below for an answer.
    fn judge(&self, chips: &Tensor, images: &Tensor) -> Tensor;
}

/// What a network computes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A step: batch normalisation goes by the batch, and remembers.
    Learn,
    /// An answer: batch normalisation goes by what it remembers.
    Answer,
}

/// What a network answers for a chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// One number.
    Number,
    /// One number a pixel and band.
    Map {
        /// Names of the bands.
        bands: &'static [&'static str],
        /// The least and the greatest that is told apart, for PSNR and SSIM.
        bounds: [f32; 2],
    },
}

impl Answer {
    /// Returns how many numbers are answered for a chip of that side.
    pub fn len(self, chip_px: usize) -> usize {
        self.bands().len() * self.side(chip_px).pow(2)
    }

    /// Returns the names of the bands that are answered.
    pub fn bands(self) -> &'static [&'static str] {
        match self {
            Self::Number => &ANSWER,
            Self::Map { bands, .. } => bands,
        }
    }

    /// Returns the side of what is answered for a chip of that side.
    pub fn side(self, chip_px: usize) -> usize {
        match self {
            Self::Number => 1,
            Self::Map { .. } => chip_px,
        }
    }
}

/// The one band of most answers.
pub const ANSWER: [&str; 1] = ["answer"];

/// A band that a recipe asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandWish {
    /// What it is called in the recipe.
    pub role: &'static str,
    /// Common names that will do, best first.
    pub commons: &'static [&'static str],
}

/// Red, green and blue, in this order.
pub const RGB: [BandWish; 3] = [
    BandWish {
        role: "red",
        commons: &["red"],
    },
    BandWish {
        role: "green",
        commons: &["green"],
    },
    BandWish {
        role: "blue",
        commons: &["blue"],
    },
];

/// Below this sum of two reflectances their ratio is noise: one digital number of a Sentinel-2
/// product.
pub const REFLECTANCE_SUM_MIN: f32 = 1e-4;

/// No recipe has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no recipe is called '{name}' (there is: {})", names().join(", "))]
pub struct UnknownRecipe {
    name: String,
}

/// Returns the recipe of that name.
pub fn parse(name: &str) -> Result<&'static dyn Recipe, UnknownRecipe> {
    let found = RECIPES.into_iter().find(|r| r.name() == name);
    found.ok_or_else(|| UnknownRecipe {
        name: name.to_owned(),
    })
}

/// Returns the names of all recipes.
pub fn names() -> Vec<&'static str> {
    RECIPES.into_iter().map(Task::name).collect()
}

/// Returns (a - b) / (a + b), reflectances below 0 (an offset over-corrects dark pixels) taken as
/// 0, so that it lies in -1..=1; `None` where both are too dark to tell.
pub fn normalised_difference(a: f32, b: f32) -> Option<f32> {
    let (a, b) = (a.max(0.0), b.max(0.0));
    (a + b > REFLECTANCE_SUM_MIN).then(|| (a - b) / (a + b))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::{Device, Kind, Tensor, nn};

    use super::{Answer, Phase, RECIPES, Task, names, normalised_difference, parse};
    use crate::seed::Dice;

    #[test]
    fn every_recipe_is_found_by_its_name_and_no_other() {
        for recipe in RECIPES {
            assert_eq!(parse(recipe.name()).map(Task::name), Ok(recipe.name()));
        }
        let mut sorted = names();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names(), sorted, "in order of names, each once");
        let unknown = parse("tea-leaves").map(Task::name);
        let text = unknown.map_err(|e| e.to_string());
        let all = names().join(", ");
        let wanted = format!("no recipe is called 'tea-leaves' (there is: {all})");
        assert_eq!(text, Err(wanted));
    }

    #[test]
    fn every_description_names_exactly_the_tensors_and_shapes_of_its_network() {
        for recipe in RECIPES {
            let side = i64::from(recipe.chip_px_step()) * 3;
            let vars = nn::VarStore::new(Device::Cpu);
            let net = recipe.network(&vars.root(), &mut Dice::new(1, &[]));
            let told = recipe.describe(side);
            let sizes = |tensors: Vec<(String, Vec<i64>)>| -> BTreeMap<_, _> {
                tensors.into_iter().collect()
            };
            let kept = |l: &super::describe::Layer| [l.tensors.clone(), l.kept.clone()].concat();
            let real = vars.variables().into_iter().map(|(n, t)| (n, t.size()));
            assert_eq!(
                sizes(told.layers.iter().flat_map(kept).collect()),
                real.collect()
            );
            let learned = vars
                .trainable_variables()
                .iter()
                .map(Tensor::numel)
                .sum::<usize>();
            assert_eq!(Ok(told.parameters), i64::try_from(learned));
            let channels = i64::try_from(recipe.inputs().len()).expect("a few");
            let chips = Tensor::zeros([5, channels, side, side], (Kind::Float, Device::Cpu));
            let answer = net.forward(&chips, Phase::Answer).size();
            let last = told.layers.last().expect("a layer").out.clone();
            match recipe.answer() {
                Answer::Number => {
                    assert_eq!((answer, last), (vec![5, 1, 1, 1], vec![1]));
                }
                Answer::Map { bands, .. } => {
                    let bands = i64::try_from(bands.len()).expect("a few");
                    assert_eq!(
                        (answer, last),
                        (vec![5, bands, side, side], vec![bands, side, side])
                    );
                }
            }
        }
    }

    #[test]
    fn a_normalised_difference_lies_between_minus_1_and_1_or_is_none() {
        let same = |a: Option<f32>, b: f32| a.is_some_and(|a| (a - b).abs() < 1e-6);
        assert!(same(normalised_difference(0.3, 0.1), 0.5));
        assert!(same(normalised_difference(0.2, -0.01), 1.0));
        assert!(same(normalised_difference(-0.05, 0.1), -1.0));
        assert_eq!(normalised_difference(0.0, -0.01), None);
        assert_eq!(normalised_difference(f32::NAN, f32::NAN), None);
    }
}
