//! Cuts the planes of one split into chips.
//!
//! *Invariants*: chips lie side by side from the north-west; the rest at the east and south edges
//! that fills no whole chip is left.
//!
//! *Not here*: overlapping windows for prediction (`infer`).

use crate::chips::blocks::ChipGrid;
use crate::chips::clouds::CLOUD_SHARE_MAX;
use crate::chips::onto::Shape;
use crate::chips::planes::Planes;
use crate::chips::{ChipSet, Position};
use crate::recipe::Task;

/// Returns how many whole chips a grid holds.
pub fn chip_grid(shape: Shape, chip_px: usize) -> ChipGrid {
    let whole = |pixels: usize| u32::try_from(pixels / chip_px.max(1)).unwrap_or(u32::MAX);
    ChipGrid {
        rows: whole(shape.height),
        columns: whole(shape.width),
    }
}

/// Adds the chips of one split to the set.
pub fn cut(planes: &Planes, task: &dyn Task, set: &mut ChipSet) {
    let grid = chip_grid(planes.shape, set.chip_px);
    for row in 0..grid.rows {
        for column in 0..grid.columns {
            cut_one(planes, task, Position { row, column }, set);
        }
    }
}

/// Adds one chip to the set, or counts why not.
fn cut_one(planes: &Planes, task: &dyn Task, position: Position, set: &mut ChipSet) {
    let corner = Corner {
        top: index(position.row) * set.chip_px,
        left: index(position.column) * set.chip_px,
    };
    let cut_out = |plane: &Vec<f32>| window(plane, planes.shape, corner, set.chip_px);
    let inputs: Vec<Vec<f32>> = planes.inputs.iter().map(cut_out).collect();
    let others: Vec<Vec<f32>> = planes.others.iter().map(cut_out).collect();
    if inputs.iter().chain(&others).flatten().any(|v| v.is_nan()) {
        set.left_out.fill += 1;
        return;
    }
    let cloud = planes.cloud.as_ref();
    let cloud = cloud.map(|plane| window(plane, planes.shape, corner, set.chip_px));
    if cloud.as_deref().is_some_and(|c| share(c) > CLOUD_SHARE_MAX) {
        set.left_out.cloud += 1;
    } else if let Some(label) = label(task, &others, cloud.as_deref()) {
        if let Some(veil) = &planes.veil {
            let veil = window(veil, planes.shape, corner, set.chip_px);
            set.veils
                .extend(veil.into_iter().map(|v| f32::from(u8::from(v))));
        }
        set.pixels.extend(inputs.iter().flatten());
        set.labels.extend(label);
        set.positions.push(position);
    } else {
        set.left_out.no_label += 1;
    }
}

/// The first pixel of a window.
#[derive(Debug, Clone, Copy)]
pub struct Corner {
    /// Row from the north.
    pub top: usize,
    /// Column from the west.
    pub left: usize,
}

/// Copies a square window out of a plane.
pub fn window<T: Copy>(plane: &[T], shape: Shape, corner: Corner, side: usize) -> Vec<T> {
    let line = |y: usize| {
        plane[y * shape.width + corner.left..][..side]
            .iter()
            .copied()
    };
    (corner.top..corner.top + side).flat_map(line).collect()
}

/// Returns the share of a window that is cloud.
fn share(cloud: &[bool]) -> f64 {
    cloud.iter().filter(|c| **c).count() as f64 / cloud.len() as f64
}

/// Computes the label of a chip; of a map, pixels under cloud have none in any band.
fn label(task: &dyn Task, bands: &[Vec<f32>], cloud: Option<&[bool]>) -> Option<Vec<f32>> {
    let mut label = task.label(bands)?;
    for band in label.chunks_exact_mut(bands.first()?.len()) {
        let pixels = band.iter_mut().zip(cloud.unwrap_or_default());
        for (value, _) in pixels.filter(|(_, hidden)| **hidden) {
            *value = f32::NAN;
        }
    }
    label.iter().any(|v| !v.is_nan()).then_some(label)
}

/// Widens a count.
fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::cut;
    use crate::chips::ChipSet;
    use crate::chips::Position;
    use crate::chips::onto::Shape;
    use crate::chips::planes::Planes;
    use crate::recipe::Task as _;
    use crate::recipe::ndmi_unet::NdmiUnet;
    use crate::recipe::ndvi_cnn::NdviCnn;

    /// A grid of 3 × 2 chips of 8 pixels with a ragged edge; red counts pixels, nir is 3 × red.
    fn planes() -> Planes {
        let shape = Shape {
            width: 27,
            height: 17,
        };
        let red: Vec<f32> = (0..27 * 17).map(|i| (i + 1) as f32 / 1000.0).collect();
        Planes {
            shape,
            inputs: vec![red.clone(), red.clone(), red.clone()],
            others: vec![red.clone(), red.iter().map(|r| r * 3.0).collect()],
            cloud: None,
            veil: None,
        }
    }

    fn cut_all(planes: &Planes) -> ChipSet {
        let mut set = ChipSet::new(8, 3, 1);
        cut(planes, &NdviCnn, &mut set);
        set
    }

    #[test]
    fn whole_chips_are_cut_in_rows_and_labelled() {
        let set = cut_all(&planes());
        assert_eq!(set.len(), 6);
        assert_eq!(set.positions[4], Position { row: 1, column: 1 });
        assert!(
            set.labels.iter().all(|l| (l - 0.5).abs() < 1e-6),
            "{:?}",
            set.labels
        );
        let second_line_of_chip_4 = (9 * 27 + 8 + 1) as f32 / 1000.0;
        assert!((set.chip(4)[8] - second_line_of_chip_4).abs() < 1e-6);
    }

    #[test]
    fn one_fill_pixel_in_any_used_band_leaves_the_chip_out() {
        let mut planes = planes();
        planes.inputs[2][0] = f32::NAN;
        planes.others[1][16] = f32::NAN;
        let set = cut_all(&planes);
        assert_eq!((set.len(), set.left_out.fill), (4, 2));
    }

    #[test]
    fn chips_under_more_than_a_tenth_of_cloud_are_left_out() {
        let mut planes = planes();
        let mut cloud = vec![false; 27 * 17];
        cloud[0..7].fill(true);
        cloud[8..14].fill(true);
        planes.cloud = Some(cloud);
        let set = cut_all(&planes);
        assert_eq!((set.len(), set.left_out.cloud), (5, 1));
    }

    #[test]
    fn a_map_has_no_label_under_cloud_and_in_the_dark_and_one_everywhere_else() {
        let mut planes = planes();
        let mut cloud = vec![false; 27 * 17];
        cloud[0..6].fill(true);
        planes.cloud = Some(cloud);
        planes.others[0][8] = 0.0;
        planes.others[1][8] = 0.0;
        let mut set = ChipSet::new(8, 3, NdmiUnet.answer().len(8));
        cut(&planes, &NdmiUnet, &mut set);
        assert_eq!((set.len(), set.labels.len()), (6, 6 * 64));
        let masked = |i: usize| set.label(i).iter().filter(|v| v.is_nan()).count();
        assert_eq!([masked(0), masked(1), masked(2)], [6, 1, 0]);
        let there = set.labels.iter().filter(|v| !v.is_nan());
        assert!(there.copied().all(|v| (v + 0.5).abs() < 1e-6));
    }

    #[test]
    fn chips_in_the_dark_have_no_label() {
        let mut planes = planes();
        planes.others[0].fill(0.0);
        planes.others[1].fill(0.0);
        assert_eq!(cut_all(&planes).left_out.no_label, 6);
    }
}
