//! Seams: no gap, no doubled pixel, whatever the anchors.

use super::*;
use crate::geocode::{Geocode, Scheme};

fn cell(scheme: Scheme, code: &str) -> Geocode {
    Geocode::parse(scheme, code).unwrap()
}

/// A raster that tells the cell and the pixel.
fn told(grid: &Grid, cell: u32) -> Raster {
    let count = u32::try_from(grid.pixels()).unwrap();
    let samples = (0..count).map(|i| cell * 10_000_000 + i + 1).collect();
    Raster::new(grid.width(), grid.height(), Samples::U32(samples)).unwrap()
}

fn region(grids: &[Grid], area: Option<&LonLatBox>) -> (Frame, Vec<u32>, Vec<bool>) {
    let frame = Frame::of(grids, area).unwrap();
    let mut region = Region::new(frame.clone(), &[SampleType::U32]);
    for (number, grid) in (1..).zip(grids) {
        let raster = told(grid, number);
        let band = CellBand {
            raster: &raster,
            fill: None,
            method: Method::Nearest,
        };
        region.place(grid, &[Some(band)]).unwrap();
    }
    let (raster, valid) = region.bands.remove(0);
    let Samples::U32(values) = raster.into_samples() else {
        panic!("another type");
    };
    (frame, values, valid)
}

#[test]
fn cells_of_one_anchor_are_joined_pixel_by_pixel() {
    for scheme in [Scheme::Geohash, Scheme::QuadTile] {
        let parent = match scheme {
            Scheme::Geohash => cell(scheme, "9xj5"),
            Scheme::QuadTile => cell(scheme, "02310102"),
        };
        let children = parent.children().into_iter();
        let grids: Vec<Grid> = children.map(|c| Grid::of(&c, 60.0).unwrap()).collect();
        let (frame, values, valid) = region(&grids, None);
        let whole = Grid::of(&parent, 60.0).unwrap();
        assert_eq!(frame.georef(), &Georef::from(&whole), "{scheme}");
        assert!(valid.iter().all(|v| *v), "{scheme}: a gap");
        let total: u64 = grids.iter().map(Grid::pixels).sum();
        assert_eq!(total, frame.pixels());
        let mut seen = values;
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() as u64, total, "{scheme}: a doubled pixel");
    }
}

#[test]
fn anchors_of_other_pixel_sizes_leave_no_gap() {
    // 9xj lies in one row of anchors, 9xh below it; pixels of the latter are wider.
    let above = cell(Scheme::Geohash, "9xj0");
    let below = above.neighbours().into_iter().find(|n| {
        n.centre().lat < above.centre().lat && (n.centre().lon - above.centre().lon).abs() < 1e-9
    });
    let cells = [above, below.unwrap()];
    assert_ne!(cells[0].prefix(3), cells[1].prefix(3), "one anchor");
    let grids: Vec<Grid> = cells.iter().map(|c| Grid::of(c, 100.0).unwrap()).collect();
    let widths = [0, 1].map(|i: usize| grids[i].transform().pixel_width);
    assert!((widths[0] / widths[1] - 1.0).abs() > 1e-6, "one pixel size");
    let (frame, values, valid) = region(&grids, None);
    assert!(valid.iter().all(|v| *v), "a gap");
    let windows: Vec<PixelWindow> = grids.iter().filter_map(|g| frame.window(g)).collect();
    let pixels: u64 = windows
        .iter()
        .map(|w| u64::from(w.width) * u64::from(w.height))
        .sum();
    assert_eq!(pixels, frame.pixels(), "cells share pixels, or miss some");
    let from = |v: &u32| v / 10_000_000;
    assert_eq!(from(values.first().unwrap()), 1);
    assert_eq!(from(values.last().unwrap()), 2);
}

#[test]
fn a_box_crops_to_the_pixels_that_it_touches_and_may_lie_beyond_the_cells() {
    let grid = Grid::of(&cell(Scheme::Geohash, "9xj5k"), 60.0).unwrap();
    let [west, south, east, north] = grid.edges();
    let t = grid.transform();
    let inner = LonLatBox::new(
        west + 3.4 * t.pixel_width,
        south + 2.0 * t.pixel_height,
        east - 5.6 * t.pixel_width,
        north - 1.5 * t.pixel_height,
    );
    let (frame, values, valid) = region(std::slice::from_ref(&grid), Some(&inner.unwrap()));
    assert_eq!(frame.georef().width, grid.width() - 3 - 5);
    assert_eq!(frame.georef().height, grid.height() - 1 - 2);
    assert!(valid.iter().all(|v| *v));
    assert_eq!(values[0], 10_000_000 + grid.width() + 3 + 1);
    let outer = LonLatBox::new(west - 2.0 * t.pixel_width, south, east, north).unwrap();
    let (frame, _, valid) = region(std::slice::from_ref(&grid), Some(&outer));
    assert_eq!(frame.georef().width, grid.width() + 2);
    let void = valid.iter().filter(|v| !**v).count();
    assert_eq!(void, 2 * grid.height() as usize);
}

/// Cells on both sides of the antimeridian: `west` of it first.
fn astride(scheme: Scheme) -> [Geocode; 2] {
    let point = |lon| crate::extent::LonLat { lon, lat: -16.5 };
    let precision = match scheme {
        Scheme::Geohash => 5,
        Scheme::QuadTile => 12,
    };
    [179.99, -179.99].map(|lon| Geocode::encode(scheme, point(lon), precision).unwrap())
}

#[test]
fn cells_on_both_sides_of_the_antimeridian_are_neighbours() {
    for scheme in [Scheme::Geohash, Scheme::QuadTile] {
        let cells = astride(scheme);
        let grids: Vec<Grid> = cells.iter().map(|c| Grid::of(c, 60.0).unwrap()).collect();
        // Whichever comes first.
        let turned: Vec<Grid> = grids.iter().rev().cloned().collect();
        for grids in [&grids, &turned] {
            let (frame, values, valid) = region(grids, None);
            let (one, two) = (&grids[0], &grids[1]);
            assert_eq!(frame.georef().width, one.width() + two.width(), "{scheme}");
            assert!(valid.iter().all(|v| *v), "{scheme}: a gap");
            let mut seen = values.clone();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), values.len(), "{scheme}: a doubled pixel");
            let first_is_west = one.edges()[0] > two.edges()[0];
            let west = values[0] / 10_000_000;
            assert_eq!(west, if first_is_west { 1 } else { 2 }, "{scheme}");
            let east = frame
                .georef()
                .affine
                .to_ground(f64::from(frame.georef().width), 0.0)
                .0;
            assert!(east > turn(one.crs()).unwrap() / 2.0, "{scheme}: {east}");
        }
    }
}

#[test]
fn a_box_across_the_antimeridian_is_cut_on_both_sides() {
    for scheme in [Scheme::Geohash, Scheme::QuadTile] {
        let cells = astride(scheme);
        let grids: Vec<Grid> = cells.iter().map(|c| Grid::of(c, 60.0).unwrap()).collect();
        let bounds = [cells[0].bounds(), cells[1].bounds()];
        let south = bounds[0].south().max(bounds[1].south());
        let north = bounds[0].north().min(bounds[1].north());
        let middle = f64::midpoint(south, north);
        let around = LonLatBox::new(179.99, middle, -179.99, north).unwrap();
        assert!(around.crosses_antimeridian());
        let (frame, values, valid) = region(&grids, Some(&around));
        assert!(valid.iter().all(|v| *v), "{scheme}: a gap");
        let of = |cell: u32| values.iter().filter(|v| **v / 10_000_000 == cell).count();
        let (west, east) = (of(1), of(2));
        let row = frame.georef().height as usize;
        assert!(
            west.abs_diff(east) <= row,
            "{scheme}: {west} and {east} pixels"
        );
        let width = 0.02 / 360.0 * turn(&frame.georef().crs).unwrap();
        let pixels = width / frame.pixel.0;
        assert!(
            (f64::from(frame.georef().width) - pixels).abs() <= 2.0,
            "{scheme}"
        );
    }
}

#[test]
fn what_cannot_be_one_raster_is_refused() {
    let one = Grid::of(&cell(Scheme::Geohash, "9xj5k"), 60.0).unwrap();
    let other = Grid::of(&cell(Scheme::QuadTile, "023101022"), 60.0).unwrap();
    assert_eq!(Frame::of(&[], None), Err(RegionError::Empty));
    let refused = Frame::of(&[one.clone(), other], None);
    assert_eq!(refused, Err(RegionError::Schemes));
    let world = LonLatBox::new(-170.0, -80.0, 170.0, 80.0).unwrap();
    assert!(matches!(
        Frame::of(&[one], Some(&world)),
        Err(RegionError::TooLarge { .. })
    ));
}

#[test]
fn a_cell_of_a_wider_type_widens_the_mosaic() {
    let parent = cell(Scheme::Geohash, "9xj5k");
    let children = parent.children().into_iter();
    let grids: Vec<Grid> = children.map(|c| Grid::of(&c, 200.0).unwrap()).collect();
    let mut region = Region::new(Frame::of(&grids, None).unwrap(), &[SampleType::U8]);
    for (i, grid) in grids.iter().enumerate() {
        let count = usize::try_from(grid.pixels()).unwrap();
        let samples = match i {
            0 => Samples::U16(vec![700; count]),
            1 => continue,
            _ => Samples::U8(vec![0; count]),
        };
        let raster = Raster::new(grid.width(), grid.height(), samples).unwrap();
        let band = CellBand {
            raster: &raster,
            fill: None,
            method: Method::Nearest,
        };
        region.place(grid, &[Some(band)]).unwrap();
    }
    let (raster, fill) = region.finish().remove(0);
    assert_eq!(
        (raster.sample_type(), fill),
        (SampleType::U16, Some(65_535.0))
    );
    let values = raster.samples().to_f64();
    let count = |value: f64| values.iter().filter(|v| (**v - value).abs() < 0.5).count() as u64;
    assert_eq!(count(700.0), grids[0].pixels());
    assert_eq!(count(65_535.0), grids[1].pixels());
}
