//! `spagan`: the ground under clouds, red, green and blue, from a cloudy image (S001 §II.D, Fig. 7
//! and 8).
//!
//! The paper gives the order of the blocks: a generator of "three standard residual blocks, three
//! spatial attentive blocks, two more standard residual blocks, and a final convolutional layer", a
//! discriminator of "six convolutional blocks"; no widths, no loss. Ours: maps of 32 channels
//! throughout, attention swept in 8, a convolution before the first block that widens three bands
//! to 32. An attentive block is a residual one whose findings count by the block's own attention
//! (Pan 2020). The loss is Pan's: conditional GAN, 100 times the distance of answer and label, and
//! the attention's distance to where the cloudy image hides the ground.
//!
//! **Pairs.** The paper pairs each cloudy image with "the most temporally proximate" clear one;
//! the rule is that of `query::pairs`.
//!
//! *Invariants*: a label is what a clear date measured, NaN where even that date had cloud; the
//! generator has no batch normalisation, so that a window's answer is its own.
//!
//! *Not here*: which splits make a pair (`job::pairs`), the losses (`loss`), steps (`fit::tutor`).

pub mod discriminator;

use query::pairs::Rule;
use tch::{Tensor, nn};
use wire::run::Hyper;

use crate::net::Width;
use crate::net::attention::Attention;
use crate::net::conv::Conv;
use crate::net::irnn::DIRECTIONS;
use crate::net::residual::Residual;
use crate::recipe::describe::{Description, Layer, STANDARDISED, bands, parameters};
use crate::recipe::needs::Needs;
use crate::recipe::spagan::discriminator::Discriminator;
use crate::recipe::{Answer, BandWish, Net, Phase, RGB, Recipe, Rival, Task};
use crate::seed::Dice;

/// The same bands of the clear split.
const LABEL_BANDS: [BandWish; 3] = [
    BandWish {
        role: "clear red",
        commons: &["red"],
    },
    BandWish {
        role: "clear green",
        commons: &["green"],
    },
    BandWish {
        role: "clear blue",
        commons: &["blue"],
    },
];

/// Names of the answer's bands.
const ANSWERS: [&str; 3] = ["red", "green", "blue"];
/// Bands that enter, and bands that are answered.
const COLOURS: i64 = 3;
/// Reflectances that a picture tells apart: as grey images of textures do, 0 to 0.4.
const BOUNDS: [f32; 2] = [0.0, 0.4];
/// Channels of the generator's maps.
const CHANNELS: i64 = 32;
/// Channels that attention sweeps over.
const SWEPT: i64 = 8;
/// Residual blocks before attention.
const BEFORE: usize = 3;
/// Attentive blocks.
const ATTENTIVE: usize = 3;
/// Residual blocks after attention.
const AFTER: usize = 2;
/// The discriminator halves maps three times, to four places at least, so that the variance of its
/// batches means something.
const CHIP_PX_STEP: u32 = 16;
/// Learning rate: twice that of image-to-image translation (Isola et al. 2017), since batches are.
const LEARNING_RATE: f64 = 4e-4;
/// Pairs a step: small batches make more steps of an epoch, which two networks in turn need.
const BATCH: u32 = 8;

/// The recipe.
#[derive(Debug, Clone, Copy)]
pub struct SpaGan;

impl Task for SpaGan {
    fn name(&self) -> &'static str {
        "spagan"
    }

    fn inputs(&self) -> &'static [BandWish] {
        &RGB
    }

    fn label_bands(&self) -> &'static [BandWish] {
        &LABEL_BANDS
    }

    fn answer(&self) -> Answer {
        Answer::Map {
            bands: &ANSWERS,
            bounds: BOUNDS,
        }
    }

    fn chip_px_step(&self) -> u32 {
        CHIP_PX_STEP
    }

    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>> {
        Some(bands.concat())
    }

    fn pairs(&self) -> Option<Rule> {
        Some(Rule::default())
    }
}

impl Recipe for SpaGan {
    fn network(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Box<dyn Net> {
        Box::new(Generator::new(root, dice))
    }

    fn rival(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Option<Box<dyn Rival>> {
        Some(Box::new(Discriminator::new(root, dice)))
    }

    fn describe(&self, chip_px: i64) -> Description {
        let layers = layers(chip_px);
        let rival = discriminator::layers(chip_px);
        let needs = Needs::of([&layers, &rival], self.inputs().len(), chip_px);
        Description {
            recipe: self.name(),
            task: "clear red, green and blue from a cloudy image",
            source: "S001, section II.D, figures 7 and 8 (widths are ours: the figures name none); \
                     loss and attention after Pan 2020 and Wang et al. 2019",
            inputs: bands(self.inputs()),
            label_bands: bands(self.label_bands()),
            label: "red, green and blue of the clear split nearest in time of the same cell and \
                    collection, by the rule of glebe search --pairs (cloudy from 20 %, clear up to \
                    5 % unless the run says otherwise); pixels under what cloud the clear split \
                    has count neither in loss nor in scores",
            normalisation: STANDARDISED,
            loss: "conditional GAN + 100 x mean absolute error + 10 x mean squared distance of the \
                   last attention and the cloud mask (that of the cloudy split; where it has none, \
                   pixels whose bands differ by more than 0.1 between the two dates)",
            pairs: self.pairs().is_some(),
            chip_px_step: self.chip_px_step(),
            hyper: Hyper {
                learning_rate: LEARNING_RATE,
                batch: BATCH,
                ..Hyper::default()
            },
            parameters: parameters(&layers),
            layers,
            rival,
            needs,
        }
    }
}

/// The generator.
#[derive(Debug)]
struct Generator {
    widen: Conv,
    before: Vec<Residual>,
    attentive: Vec<Attentive>,
    after: Vec<Residual>,
    answer: Conv,
}

/// A residual block whose findings count by its own attention.
#[derive(Debug)]
struct Attentive {
    attention: Attention,
    body: Residual,
}

impl Generator {
    /// Registers the first weights under `root`, drawn from `dice`.
    fn new(root: &nn::Path<'_>, dice: &mut Dice) -> Self {
        let width = |from, to| Width { from, to };
        let widen = Conv::new(&(root / "widen"), width(COLOURS, CHANNELS), 1, dice);
        let residual =
            |name: String, dice: &mut Dice| Residual::new(&(root / name), CHANNELS, dice);
        let before = (1..=BEFORE).map(|i| residual(format!("residual{i}"), dice));
        let before = before.collect();
        let attentive = (1..=ATTENTIVE).map(|i| {
            let path = root / format!("attentive{i}");
            Attentive {
                attention: Attention::new(&path, width(CHANNELS, SWEPT), dice),
                body: Residual::new(&path, CHANNELS, dice),
            }
        });
        let attentive = attentive.collect();
        let after = (1..=AFTER).map(|i| residual(format!("residual{}", BEFORE + i), dice));
        let after = after.collect();
        let answer = Conv::new(&(root / "answer"), width(CHANNELS, COLOURS), 1, dice);
        Self {
            widen,
            before,
            attentive,
            after,
            answer,
        }
    }
}

impl Net for Generator {
    fn forward(&self, chips: &Tensor, phase: Phase) -> Tensor {
        self.attend(chips, phase).0
    }

    fn attend(&self, chips: &Tensor, _phase: Phase) -> (Tensor, Option<Tensor>) {
        let mut maps = self.widen.forward(chips).relu();
        for block in &self.before {
            maps = block.forward(&maps);
        }
        let mut last = None;
        for block in &self.attentive {
            let attention = block.attention.forward(&maps);
            maps = block.body.attending(&maps, &attention);
            last = Some(attention);
        }
        for block in &self.after {
            maps = block.forward(&maps);
        }
        (self.answer.forward(&maps), last)
    }
}

/// Describes the generator's layers for chips of that side.
fn layers(side: i64) -> Vec<Layer> {
    let conv = |name: &str, does: &str, from, to| {
        Layer::conv(name, does, Width { from, to }, &[to, side, side])
    };
    let residual = |name: String| {
        let name = |part: &str| format!("{name}.{part}");
        let does = "3x3 convolution; its answer is added to what entered the block, then ReLU";
        [
            conv(&name("conv1"), "3x3 convolution, ReLU", CHANNELS, CHANNELS),
            conv(&name("conv2"), does, CHANNELS, CHANNELS),
        ]
    };
    let attentive = |i: usize| {
        let block = format!("attentive{i}");
        let name = |part: &str| format!("{block}.{part}");
        let round = |n: i32| {
            let weight = (name(&format!("sweep{n}.weight")), vec![DIRECTIONS, SWEPT]);
            let sweep = Layer::bare(
                &name(&format!("sweep{n}")),
                "IRNN from north, south, west, east; each times its gate",
                &[DIRECTIONS * SWEPT, side, side],
            );
            // What each step left, all of it turned back, and all of it times the gates.
            let sweep = Layer {
                tensors: vec![weight],
                ..sweep.holding(3)
            };
            let join = name(&format!("join{n}"));
            let does = "3x3 convolution of the four directions";
            [sweep, conv(&join, does, DIRECTIONS * SWEPT, SWEPT)]
        };
        let [conv1, conv2] = residual(block.clone());
        let gates = "3x3 convolution, sigmoid: what each direction counts";
        let mask = "ReLU, 3x3 convolution, sigmoid: attention, by which conv2's answer counts";
        let mut layers = vec![conv(&name("gates"), gates, CHANNELS, DIRECTIONS)];
        layers.push(conv(&name("enter"), "3x3 convolution", CHANNELS, SWEPT));
        layers.extend([1, 2].map(round).into_iter().flatten());
        layers.push(conv(&name("mask"), mask, SWEPT, 1));
        // What conv2 answered, and what leaves the block.
        layers.extend([conv1, conv2.holding(2)]);
        layers
    };
    let mut layers = vec![conv("widen", "3x3 convolution, ReLU", COLOURS, CHANNELS)];
    layers.extend((1..=BEFORE).flat_map(|i| residual(format!("residual{i}"))));
    layers.extend((1..=ATTENTIVE).flat_map(attentive));
    layers.extend((1..=AFTER).flat_map(|i| residual(format!("residual{}", BEFORE + i))));
    layers.push(conv("answer", "3x3 convolution", CHANNELS, COLOURS));
    layers
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor, nn};

    use super::SpaGan;
    use crate::recipe::{Phase, Recipe as _, Task as _};
    use crate::seed::Dice;

    #[test]
    fn it_has_as_many_numbers_as_the_formats_page_says() {
        let told = SpaGan.describe(32);
        assert_eq!(told.parameters, 174_418);
        assert_eq!(super::parameters(&told.rival), 98_673);
    }

    #[test]
    fn the_label_is_red_then_green_then_blue_of_the_clear_split() {
        let label = SpaGan.label(&[vec![0.1, 0.2], vec![0.3, 0.4], vec![0.5, 0.6]]);
        assert_eq!(label, Some(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6]));
    }

    #[test]
    fn attention_is_a_share_for_every_place() {
        let vars = nn::VarStore::new(Device::Cpu);
        let net = SpaGan.network(&vars.root(), &mut Dice::new(1, &[]));
        let chips = Tensor::arange(2 * 3 * 256, (Kind::Float, Device::Cpu)).sin();
        let (_, attention) = net.attend(&chips.reshape([2, 3, 16, 16]), Phase::Learn);
        let attention = attention.expect("a map");
        assert_eq!(attention.size(), [2, 1, 16, 16]);
        let [least, most] = [attention.min(), attention.max()].map(|t| t.double_value(&[]));
        assert!(least > 0.0 && most < 1.0 && least < most, "{least} {most}");
    }
}
