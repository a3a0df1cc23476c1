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

use crate::net::conv_cell::{ConvCell, Width};
use crate::net::dense::Dense;
use crate::recipe::{BandWish, Description, Layer};
use crate::seed::Dice;

/// The recipe's name.
pub const NAME: &str = "ndvi-cnn";
/// Each cell halves the side, so that it must be divisible this often.
pub const CHIP_PX_STEP: u32 = 1 << CELLS.len();
/// Bands of the network.
pub const INPUTS: [BandWish; 3] = [
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
/// Bands of the label. Sentinel-2's narrow near infrared (B8A) stands in for B08.
pub const LABEL_BANDS: [BandWish; 2] = [
    INPUTS[0],
    BandWish {
        role: "nir",
        commons: &["nir", "nir08"],
    },
];

/// Channels that enter: one for each band of `INPUTS`.
const CHANNELS: i64 = 3;
/// Channels that leave each cell.
const CELLS: [i64; 3] = [16, 32, 64];
/// Width of the first fully connected layer.
const HIDDEN: i64 = 32;
/// Below this sum a ratio is noise: one digital number of a Sentinel-2 product.
const REFLECTANCE_SUM_MIN: f32 = 1e-4;

/// The network.
#[derive(Debug)]
pub struct NdviCnn {
    cells: Vec<ConvCell>,
    hidden: Dense,
    answer: Dense,
}

impl NdviCnn {
    /// Registers the network's first weights under `root`, drawn from `dice`.
    pub fn new(root: &nn::Path<'_>, dice: &mut Dice) -> Self {
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

    /// Maps normalised chips [n, 3, side, side] to standardised labels [n].
    pub fn forward(&self, chips: &Tensor) -> Tensor {
        let mut maps = chips.shallow_clone();
        for cell in &self.cells {
            maps = cell.forward(&maps);
        }
        let means = maps.mean_dim([2_i64, 3].as_slice(), false, None);
        let hidden = self.hidden.forward(&means).relu();
        self.answer.forward(&hidden).squeeze_dim(1)
    }
}

/// Returns the mean of (nir - red) / (nir + red) over a chip's pixels; `None` without any.
///
/// Reflectances below 0 (an offset over-corrects dark pixels) count as 0, so that every ratio lies
/// in -1..=1; pixels darker than a named sum in both bands are left out.
pub fn mean_ndvi(red: &[f32], nir: &[f32]) -> Option<f32> {
    let mut sum = 0.0_f64;
    let mut count = 0_u32;
    for (r, n) in red.iter().zip(nir) {
        let (r, n) = (r.max(0.0), n.max(0.0));
        if r + n > REFLECTANCE_SUM_MIN {
            sum += f64::from((n - r) / (n + r));
            count += 1;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "labels are f32 like the network's answers; the mean lies in -1..=1"
    )]
    (count > 0).then(|| (sum / f64::from(count)) as f32)
}

/// Describes the recipe for chips of that side.
pub fn describe(chip_px: i64) -> Description {
    let mut layers = Vec::new();
    let (mut from, mut side) = (CHANNELS, chip_px);
    for (i, to) in CELLS.into_iter().enumerate() {
        side /= 2;
        let does = "3x3 convolution (step 2, padding 1), ReLU";
        layers.push(layer(&format!("cell{}", i + 1), does, &[to, from, 3, 3]));
        if let Some(last) = layers.last_mut() {
            last.out = vec![to, side, side];
        }
        from = to;
    }
    layers.push(Layer {
        name: "mean".to_owned(),
        does: "mean over positions".to_owned(),
        tensors: Vec::new(),
        out: vec![from],
    });
    layers.push(layer("hidden", "fully connected, ReLU", &[HIDDEN, from]));
    layers.push(layer("answer", "fully connected", &[1, HIDDEN]));
    let sizes = layers.iter().flat_map(|l| &l.tensors);
    Description {
        recipe: NAME,
        task: "mean NDVI of a chip from its red, green and blue",
        source: "S001, section II.D, figure 5 (widths are ours: the figure names none)",
        inputs: INPUTS.iter().map(|b| b.role).collect(),
        label: "mean over pixels of (nir - red) / (nir + red), reflectances below 0 taken as 0",
        parameters: sizes.map(|(_, s)| s.iter().product::<i64>()).sum(),
        layers,
        loss: "mean squared error",
    }
}

/// Describes a layer with `weight` of that shape and its `bias`.
fn layer(name: &str, does: &str, weight: &[i64]) -> Layer {
    Layer {
        name: name.to_owned(),
        does: does.to_owned(),
        tensors: vec![
            (format!("{name}.bias"), vec![weight[0]]),
            (format!("{name}.weight"), weight.to_vec()),
        ],
        out: vec![weight[0]],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::{Device, Kind, Tensor, nn};

    use super::{NdviCnn, describe, mean_ndvi};
    use crate::seed::Dice;

    #[test]
    fn the_description_names_exactly_the_tensors_of_the_network() {
        let vars = nn::VarStore::new(Device::Cpu);
        let net = NdviCnn::new(&vars.root(), &mut Dice::new(1, &[]));
        let told: BTreeMap<_, _> = describe(32)
            .layers
            .into_iter()
            .flat_map(|l| l.tensors)
            .collect();
        let real: BTreeMap<_, _> = vars
            .variables()
            .into_iter()
            .map(|(name, t)| (name, t.size()))
            .collect();
        assert_eq!(told, real);
        assert_eq!(describe(32).parameters, 25_697);
        let answer = net.forward(&Tensor::zeros([5, 3, 24, 24], (Kind::Float, Device::Cpu)));
        assert_eq!(answer.size(), [5]);
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
