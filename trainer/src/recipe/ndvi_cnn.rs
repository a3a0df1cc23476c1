//! `ndvi-cnn`: the mean NDVI of a chip from its red, green and blue (S001 §II.D, Fig. 5).
//!
//! Fig. 5 gives "several cells of convolutional layers and activation functions followed by two
//! fully-connected layers" and no widths. Ours: three cells (16, 32, 64 channels), the mean over
//! the remaining positions, two fully connected layers (32, 1). The mean makes the layers
//! independent of the chip's side and fits the task: the label is a mean over pixels.
//!
//! *Invariants*: the chip's side is a multiple of 8; labels lie in -1..=1.
//!
//! *Not here*: normalisation of bands and label (`chips::normal`).

use tch::{Tensor, nn};

use crate::net::Width;
use crate::net::conv_cell::ConvCell;
use crate::net::dense::Dense;
use crate::recipe::describe::{Description, Layer, STANDARDISED, bands, parameters};
use crate::recipe::needs::Needs;
use crate::recipe::{Answer, BandWish, Net, Phase, RGB, Recipe, Task, normalised_difference};
use crate::seed::Dice;
use crate::units::{Ends, Shift};

/// Bands of the label. Sentinel-2's narrow near infrared (B8A) stands in for B08.
const LABEL_BANDS: [BandWish; 2] = [
    RGB[0],
    BandWish {
        role: "nir",
        commons: &["nir", "nir08"],
    },
];

/// Channels that enter: one for each band of `RGB`.
const CHANNELS: i64 = 3;
/// Channels that leave each cell.
const CELLS: [i64; 3] = [16, 32, 64];
/// Each cell halves the side, so that it must be divisible this often.
const CHIP_PX_STEP: u32 = 1 << CELLS.len();
/// Width of the first fully connected layer.
const HIDDEN: i64 = 32;

/// The recipe.
#[derive(Debug, Clone, Copy)]
pub struct NdviCnn;

impl Task for NdviCnn {
    fn name(&self) -> &'static str {
        "ndvi-cnn"
    }

    fn inputs(&self) -> &'static [BandWish] {
        &RGB
    }

    fn label_bands(&self) -> &'static [BandWish] {
        &LABEL_BANDS
    }

    fn answer(&self) -> Answer {
        Answer::Number
    }

    fn chip_px_step(&self) -> u32 {
        CHIP_PX_STEP
    }

    fn label(&self, bands: &[Vec<f32>]) -> Option<Vec<f32>> {
        mean_ndvi(&bands[0], &bands[1]).map(|mean| vec![mean])
    }
}

impl Recipe for NdviCnn {
    fn network(&self, root: &nn::Path<'_>, dice: &mut Dice) -> Box<dyn Net> {
        Box::new(Network::new(root, dice))
    }

    fn ends(&self) -> Option<Ends> {
        Some(Ends {
            entry: "cell1.weight",
            shift: Shift::Bias("cell1.bias"),
            exit: "answer.weight",
            exit_bias: "answer.bias",
        })
    }

    fn describe(&self, chip_px: i64) -> Description {
        let layers = layers(chip_px);
        let needs = Needs::of([&layers, &[]], self.inputs().len(), chip_px);
        Description {
            recipe: self.name(),
            task: "mean NDVI of a chip from its red, green and blue",
            source: "S001, section II.D, figure 5 (widths are ours: the figure names none)",
            inputs: bands(self.inputs()),
            label_bands: bands(self.label_bands()),
            label: "mean over pixels of (nir - red) / (nir + red), reflectances below 0 taken as 0",
            normalisation: STANDARDISED,
            loss: "mean squared error",
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
struct Network {
    cells: Vec<ConvCell>,
    hidden: Dense,
    answer: Dense,
}

impl Network {
    /// Registers the network's first weights under `root`, drawn from `dice`.
    fn new(root: &nn::Path<'_>, dice: &mut Dice) -> Self {
        let mut from = CHANNELS;
        let mut cells = Vec::with_capacity(CELLS.len());
        for (i, to) in CELLS.into_iter().enumerate() {
            let path = root / format!("cell{}", i + 1);
            cells.push(ConvCell::new(&path, Width { from, to }, dice));
            from = to;
        }
        let hidden = Width { from, to: HIDDEN };
        let answer = Width {
            from: HIDDEN,
            to: 1,
        };
        Self {
            cells,
            hidden: Dense::new(&(root / "hidden"), hidden, dice),
            answer: Dense::new(&(root / "answer"), answer, dice),
        }
    }
}

impl Net for Network {
    fn forward(&self, chips: &Tensor, _phase: Phase) -> Tensor {
        let mut maps = chips.shallow_clone();
        for cell in &self.cells {
            maps = cell.forward(&maps);
        }
        let means = maps.mean_dim([2_i64, 3].as_slice(), false, None);
        let hidden = self.hidden.forward(&means).relu();
        self.answer.forward(&hidden).reshape([-1, 1, 1, 1])
    }
}

/// Returns the mean of (nir - red) / (nir + red) over a chip's pixels; `None` without any.
///
/// Pixels that are dark in both bands are left out.
fn mean_ndvi(red: &[f32], nir: &[f32]) -> Option<f32> {
    let mut sum = 0.0_f64;
    let mut count = 0_u32;
    for ratio in nir
        .iter()
        .zip(red)
        .filter_map(|(n, r)| normalised_difference(*n, *r))
    {
        sum += f64::from(ratio);
        count += 1;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "labels are f32 like the network's answers; the mean lies in -1..=1"
    )]
    (count > 0).then(|| (sum / f64::from(count)) as f32)
}

/// Describes the layers for chips of that side.
fn layers(chip_px: i64) -> Vec<Layer> {
    let mut layers = Vec::new();
    let (mut from, mut side) = (CHANNELS, chip_px);
    for (i, to) in CELLS.into_iter().enumerate() {
        side /= 2;
        let does = "3x3 convolution (step 2, padding 1), ReLU";
        let name = format!("cell{}", i + 1);
        layers.push(Layer::conv(
            &name,
            does,
            Width { from, to },
            &[to, side, side],
        ));
        from = to;
    }
    layers.push(Layer::bare("mean", "mean over positions", &[from]));
    let hidden = Layer::biased(
        "hidden",
        "fully connected, ReLU",
        &[HIDDEN, from],
        &[HIDDEN],
    );
    layers.push(hidden);
    layers.push(Layer::biased(
        "answer",
        "fully connected",
        &[1, HIDDEN],
        &[1],
    ));
    layers
}

#[cfg(test)]
mod tests {
    use super::{NdviCnn, mean_ndvi};
    use crate::recipe::Recipe as _;

    #[test]
    fn it_has_as_many_numbers_as_the_formats_page_says() {
        assert_eq!(NdviCnn.describe(32).parameters, 25_697);
    }

    #[test]
    fn mean_ndvi_is_the_mean_of_pixel_ratios() {
        let label = mean_ndvi(&[0.1, 0.2], &[0.3, 0.2]).expect("two bright pixels");
        assert!((label - 0.25).abs() < 1e-6, "{label}");
    }

    #[test]
    fn dark_pixels_are_left_out_and_negative_reflectance_is_zero() {
        assert_eq!(mean_ndvi(&[0.0, -0.01], &[0.0, -0.02]), None);
        assert_eq!(mean_ndvi(&[-0.01, 0.0], &[0.2, 0.0]), Some(1.0));
        assert_eq!(mean_ndvi(&[0.1], &[-0.05]), Some(-1.0));
    }
}
