//! Cuts the planes of one split into chips.
//!
//! *Invariants*: chips lie side by side from the north-west; the rest at the east and south edges
//! that fills no whole chip is left.
//!
//! *Not here*: overlapping windows for prediction (`infer`).

use std::io;

use crate::chips::Position;
use crate::chips::blocks::ChipGrid;
use crate::chips::clouds::CLOUD_SHARE_MAX;
use crate::chips::onto::Shape;
use crate::chips::planes::Planes;
use crate::chips::stock::Cutting;

/// Returns how many whole chips a grid holds.
pub fn chip_grid(shape: Shape, chip_px: usize) -> ChipGrid {
    let whole = |pixels: usize| u32::try_from(pixels / chip_px.max(1)).unwrap_or(u32::MAX);
    ChipGrid {
        rows: whole(shape.height),
        columns: whole(shape.width),
    }
}

/// Adds the chips of one split, or pair, to a stock: one source.
pub fn cut(planes: &Planes, stock: &mut Cutting) -> io::Result<()> {
    let grid = chip_grid(planes.shape, stock.form.chip_px);
    for row in 0..grid.rows {
        for column in 0..grid.columns {
            cut_one(planes, Position { row, column }, stock)?;
        }
    }
    stock.end_source();
    Ok(())
}

/// Adds one chip to the stock, or counts why not.
fn cut_one(planes: &Planes, position: Position, stock: &mut Cutting) -> io::Result<()> {
    let side = stock.form.chip_px;
    let corner = Corner {
        top: index(position.row) * side,
        left: index(position.column) * side,
    };
    let bands = planes.inputs.iter().chain(&planes.others);
    let bands = bands.map(|plane| window(plane, planes.shape, corner, side));
    let mut record: Vec<f32> = bands.flatten().collect();
    if record.iter().any(|v| v.is_nan()) {
        stock.about.left_out.fill += 1;
        return Ok(());
    }
    let flags = |plane: &Vec<bool>| window(plane, planes.shape, corner, side);
    let cloud = planes
        .cloud
        .as_ref()
        .map_or(vec![false; side * side], flags);
    if planes.overcast || share(&cloud) > CLOUD_SHARE_MAX {
        stock.about.left_out.cloud += 1;
        return Ok(());
    }
    let veil = planes.veil.as_ref().map(flags).unwrap_or_default();
    let flags = cloud.into_iter().chain(veil);
    record.extend(flags.map(|flag| f32::from(u8::from(flag))));
    stock.push(position, &record)
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
    use crate::chips::stock::{Cutting, Form};
    use crate::recipe::Task;
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
            overcast: false,
        }
    }

    fn cut_all(planes: &Planes) -> ChipSet {
        labelled(planes, &NdviCnn)
    }

    fn labelled(planes: &Planes, task: &dyn Task) -> ChipSet {
        let form = Form {
            chip_px: 8,
            inputs: 3,
            others: 2,
            paired: false,
        };
        let mut stock = Cutting::held(form);
        cut(planes, &mut stock).expect("in memory");
        ChipSet::labelled(stock.finish().expect("in memory"), task)
    }

    #[test]
    fn whole_chips_are_cut_in_rows_and_labelled() {
        let set = cut_all(&planes());
        assert_eq!(set.len(), 6);
        assert_eq!(set.position(4), Position { row: 1, column: 1 });
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
    fn of_a_split_that_is_mostly_cloud_no_one_knows_where_no_chip_is_cut() {
        let mut planes = planes();
        planes.overcast = true;
        let set = cut_all(&planes);
        assert_eq!((set.len(), set.left_out.cloud), (0, 6));
    }

    #[test]
    fn a_map_has_no_label_under_cloud_and_in_the_dark_and_one_everywhere_else() {
        let mut planes = planes();
        let mut cloud = vec![false; 27 * 17];
        cloud[0..6].fill(true);
        planes.cloud = Some(cloud);
        planes.others[0][8] = 0.0;
        planes.others[1][8] = 0.0;
        let set = labelled(&planes, &NdmiUnet);
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
