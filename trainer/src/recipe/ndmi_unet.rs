//! `ndmi-unet`: a map of NDMI from red, green and blue (S001 §II.D, Fig. 6).
//!
//! The paper gives "blocks of 2D convolutional, batch normalization, and LeakyReLU layers" that
//! reduce the maps, and transposed convolutions that connect "the input feature space with the
//! output feature space at each block level"; no widths. Ours: one block at the chip's own
//! resolution (16 channels), three that halve it (32, 64, 128), three that double it (64, 32, 16),
//! each joined with the maps of its level, and a convolution.
//!
//! **Two resolutions.** NDMI needs near infrared and SWIR, which Sentinel-2 has at 20 m (B8A,
//! B11). Chips lie on the grid of the inputs, 10 m; each of its pixels takes the label of the 20 m
//! pixel that its centre falls in, so that every label is one that was measured.
//!
//! *Invariants*: labels lie in -1..=1, NaN where both bands are dark; chips have a multiple of 16
//! pixels, so that the smallest maps have four places and their variance means something.
//!
//! *Not here*: normalisation of bands and label (`chips::normal`), cloud (`chips::cut`).

use tch::{Tensor, nn};

use crate::net::Width;
use crate::net::conv::{Conv, KERNEL_PX};
use crate::net::conv_block::ConvBlock;
use crate::net::up_block::{self, UpBlock};
use crate::recipe::describe::{Description, Layer, STANDARDISED, bands, parameters};
use crate::recipe::needs::Needs;
use crate::recipe::{
    ANSWER, Answer, BandWish, Net, Phase, RGB, Recipe, Task, normalised_difference,
};
use crate::seed::Dice;
use crate::units::{Ends, Shift};

/// Bands of the label: where there are two near infrareds, the narrow one, whose resolution is that
/// of SWIR.
const LABEL_BANDS: [BandWish; 2] = [
    BandWish {
        role: "nir",
        commons: &["nir08", "nir"],
    },
    BandWish {
        role: "swir",
        commons: &["swir16"],
    },
];

/// Channels that enter: one for each band of `RGB`.
const CHANNELS: i64 = 3;
/// Channels at each level, from the chip's own resolution down.
const LEVELS: [i64; 4] = [16, 32, 64, 128];
/// Least side of the smallest maps.
const DEEPEST_PX: u32 = 2;
/// Every level below the first halves the side.
const CHIP_PX_STEP: u32 = DEEPEST_PX << (LEVELS.len() - 1);
/// The least and the greatest NDMI.
const BOUNDS: [f32; 2] = [-1.0, 1.0];

/// The recipe.
#[derive(Debug, Clone, Copy)]
pub struct NdmiUnet;

impl Task for NdmiUnet {
    fn name(&self) -> &'static str {
        "ndmi-unet"
    }

    fn inputs(&self) -> &'static [BandWish] {
        &RGB
    }

    fn label_bands(&self) -> &'static [BandWish] {
        &LABEL_BANDS
    }

    fn answer(&self) -> Answer {
        Answer::Map {
            bands: &ANSWER,
            bounds: BOUNDS,
        }
    }

    fn chip_px_step(&self) -> u32 {
        CHIP_PX_STEP
    }

    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>> {
        let pixels = bands[0].iter().zip(&bands[1]);
        let ratio = |(nir, swir): (&f32, &f32)| normalised_difference(*nir, *swir);
        let map: Vec<f32> = pixels.map(|p| ratio(p).unwrap_or(f32::NAN)).collect();
        map.iter().any(|v| !v.is_nan()).then_some(map)
    }
}

impl Recipe for NdmiUnet {
    fn network(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Box<dyn Net> {
        Box::new(UNet::new(root, dice))
    }

    fn ends(&self) -> Option<Ends> {
        Some(Ends {
            entry: "down0.conv.weight",
            shift: Shift::RunningMean("down0.norm.running_mean"),
            exit: "answer.weight",
            exit_bias: "answer.bias",
        })
    }

    fn describe(&self, chip_px: i64) -> Description {
        let layers = layers(chip_px);
        let needs = Needs::of([&layers, &[]], self.inputs().len(), chip_px);
        Description {
            recipe: self.name(),
            task: "map of NDMI from red, green and blue",
            source: "S001, section II.D, figure 6 (widths are ours: the figure names none)",
            inputs: bands(self.inputs()),
            label_bands: bands(self.label_bands()),
            label: "(nir - swir) / (nir + swir) of each pixel, reflectances below 0 taken as 0; \
                    where nir and swir are coarser than red, green and blue (Sentinel-2: 20 m \
                    and 10 m) a pixel's label is that of the coarser pixel around its centre; \
                    pixels under cloud or dark in both bands count neither in loss nor in scores",
            normalisation: STANDARDISED,
            loss: "mean squared error over the pixels that have a label",
            pairs: self.pairs().is_some(),
            chip_px_step: self.chip_px_step(),
            hyper: wire::run::Hyper::default(),
            parameters: parameters(&layers),
            layers,
            rival: Vec::new(),
            needs,
        }
    }
}

/// The network.
#[derive(Debug)]
struct UNet {
    /// The way down; the first keeps the side.
    down: Vec<ConvBlock>,
    /// The way up, from the smallest maps.
    up: Vec<UpBlock>,
    answer: Conv,
}

impl UNet {
    /// Registers the network's first weights under `root`, drawn from `dice`.
    fn new(root: &nn::Path<'_>, dice: &mut Dice) -> Self {
        let mut down = Vec::with_capacity(LEVELS.len());
        for (level, width) in down_widths().enumerate() {
            let step_px = if level == 0 { 1 } else { 2 };
            let path = root / format!("down{level}");
            down.push(ConvBlock::new(&path, width, step_px, dice));
        }
        let mut up = Vec::with_capacity(LEVELS.len() - 1);
        for (level, width) in up_widths() {
            up.push(UpBlock::new(&(root / format!("up{level}")), width, dice));
        }
        let answer = Conv::new(&(root / "answer"), LAST, 1, dice);
        Self { down, up, answer }
    }
}

impl Net for UNet {
    fn forward(&self, chips: &Tensor, phase: Phase) -> Tensor {
        let mut levels = Vec::with_capacity(self.down.len());
        let mut maps = chips.shallow_clone();
        for block in &self.down {
            maps = block.forward(&maps, phase);
            levels.push(maps.shallow_clone());
        }
        levels.pop();
        for block in &self.up {
            maps = block.forward(&maps, phase);
            if let Some(same_level) = levels.pop() {
                maps = Tensor::cat(&[maps, same_level], 1);
            }
        }
        self.answer.forward(&maps)
    }
}

/// Both of the last level's halves, the way up's and the way down's, become one map.
const LAST: Width = Width {
    from: 2 * LEVELS[0],
    to: 1,
};

/// Returns the widths of the way down, by level.
fn down_widths() -> impl Iterator<Item = Width> {
    let from = [CHANNELS].into_iter().chain(LEVELS);
    from.zip(LEVELS).map(|(from, to)| Width { from, to })
}

/// Returns level and width of the way up, from the smallest maps; but for the first of them, what
/// enters is the maps from below joined with those of their level.
fn up_widths() -> impl Iterator<Item = (usize, Width)> {
    let deepest = LEVELS.len() - 1;
    let joined = move |level: usize| LEVELS[level] * if level == deepest { 1 } else { 2 };
    (0..deepest).rev().map(move |level| {
        let from = joined(level + 1);
        let to = LEVELS[level];
        (level, Width { from, to })
    })
}

/// Describes the layers for chips of that side.
fn layers(chip_px: i64) -> Vec<Layer> {
    let side = |level: usize| chip_px >> level;
    let down = down_widths().enumerate().map(|(level, width)| {
        let does = if level == 0 {
            "3x3 convolution, batch normalisation, leaky ReLU"
        } else {
            "3x3 convolution (step 2), batch normalisation, leaky ReLU"
        };
        let weight = [width.to, width.from, KERNEL_PX, KERNEL_PX];
        let out = [width.to, side(level), side(level)];
        Layer::normalised(&format!("down{level}"), does, &weight, &out)
    });
    let up = up_widths().map(|(level, width)| {
        let does = format!(
            "4x4 transposed convolution (step 2), batch normalisation, leaky ReLU; \
             then joined with down{level}"
        );
        let weight = [
            width.from,
            width.to,
            up_block::KERNEL_PX,
            up_block::KERNEL_PX,
        ];
        let out = [width.to, side(level), side(level)];
        // What was convolved, what was normalised, and twice as many maps once joined.
        Layer::normalised(&format!("up{level}"), &does, &weight, &out).holding(4)
    });
    let answer = Layer::conv("answer", "3x3 convolution", LAST, &[1, chip_px, chip_px]);
    down.chain(up).chain([answer]).collect()
}

#[cfg(test)]
mod tests {
    use super::NdmiUnet;
    use crate::recipe::{Recipe as _, Task as _};

    #[test]
    fn it_has_as_many_numbers_as_the_formats_page_says() {
        assert_eq!(NdmiUnet.describe(32).parameters, 311_185);
    }

    #[test]
    fn a_label_is_a_ratio_a_pixel_and_none_in_the_dark() {
        let bands = [vec![0.3, 0.0, 0.2], vec![0.1, 0.0, -0.1]];
        let map = NdmiUnet.label(&bands).expect("two bright pixels");
        assert!((map[0] - 0.5).abs() < 1e-6 && map[1].is_nan(), "{map:?}");
        assert!((map[2] - 1.0).abs() < 1e-6, "{map:?}");
        assert_eq!(NdmiUnet.label(&[vec![0.0], vec![0.0]]), None);
    }
}
