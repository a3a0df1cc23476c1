//! Each rule on values worked out by hand; oracles by numpy are in `tests/splice.rs`.

use super::*;
use crate::raster::cloud::Sky;

fn band(role: Role) -> Band {
    Band {
        sample: SampleType::U8,
        scale: 1.0,
        offset: 0.0,
        role,
    }
}

fn plan(width: u32, roles: &[Role]) -> Plan {
    Plan {
        width,
        height: 1,
        bands: roles.iter().map(|r| band(*r)).collect(),
    }
}

/// A scene of bands in which 0 is fill.
fn scene(bands: &[&[u8]], sky: Option<&[Sky]>) -> Scene {
    let plane = |values: &&[u8]| {
        let width = u32::try_from(values.len()).unwrap();
        Some(ScenePlane {
            raster: Raster::new(width, 1, Samples::U8(values.to_vec())).unwrap(),
            fill: Some(0.0),
        })
    };
    Scene {
        planes: bands.iter().map(plane).collect(),
        sky: sky.map(<[Sky]>::to_vec),
    }
}

fn values(found: &Spliced, band: usize) -> Vec<u8> {
    let Samples::U8(values) = found.planes[band].raster.samples() else {
        panic!("another type");
    };
    let valid = &found.planes[band].valid;
    values
        .iter()
        .zip(valid)
        .map(|(v, ok)| if *ok { *v } else { 0 })
        .collect()
}

#[test]
fn four_incomplete_scenes_make_a_complete_one() {
    let plan = plan(4, &[Role::Measured]);
    let parts = [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [9, 0, 0, 4]];
    let scenes: Vec<Scene> = parts.iter().map(|p| scene(&[p], None)).collect();
    let found = combine(&plan, &scenes, Rule::LeastCloud).unwrap();
    assert_eq!(values(&found, 0), [1, 2, 3, 4]);
    assert_eq!(found.provenance, [1, 2, 3, 4]);
    assert_eq!(found.used, [1, 1, 1, 1]);
}

#[test]
fn clouds_and_shadows_are_used_only_where_nothing_better_is() {
    let plan = plan(4, &[Role::Measured]);
    let sky = [Sky::Cloud, Sky::Shadow, Sky::Clear, Sky::Cloud];
    let scenes = [
        scene(&[&[10, 11, 12, 13]], Some(&sky)),
        scene(&[&[20, 21, 22, 0]], Some(&[Sky::Clear; 4])),
    ];
    let found = combine(&plan, &scenes, Rule::Newest).unwrap();
    assert_eq!(values(&found, 0), [20, 21, 12, 13]);
    assert_eq!(found.provenance, [2, 2, 1, 1]);
    assert_eq!(found.sky, [Sky::Clear, Sky::Clear, Sky::Clear, Sky::Cloud]);
    let median = combine(&plan, &scenes, Rule::Median).unwrap();
    assert_eq!(values(&median, 0), [20, 21, 17, 13]);
    assert_eq!(median.provenance, [1, 1, 2, 1]);
}

#[test]
fn a_pixel_valid_in_all_bands_is_better_than_one_valid_in_some() {
    let plan = plan(2, &[Role::Measured, Role::Measured]);
    let scenes = [
        scene(&[&[1, 1], &[0, 0]], None),
        scene(&[&[2, 0], &[2, 0]], None),
    ];
    let found = combine(&plan, &scenes, Rule::LeastCloud).unwrap();
    assert_eq!(found.provenance, [2, 1]);
    assert_eq!(
        (values(&found, 0), values(&found, 1)),
        (vec![2, 1], vec![2, 0])
    );
}

#[test]
fn the_medoid_lies_nearest_to_all_others() {
    let plan = plan(1, &[Role::Measured, Role::Measured]);
    let at = |x, y| scene(&[&[x], &[y]], None);
    let scenes = [at(200, 200), at(10, 10), at(12, 10), at(9, 14)];
    // The third: 267.3 + 2 + 5; the second: 268.7 + 2 + 4.1.
    let found = combine(&plan, &scenes, Rule::Medoid).unwrap();
    assert_eq!(found.provenance, [3]);
}

#[test]
fn the_greatest_ndvi_wins_and_needs_its_bands() {
    let roles = [Role::Red, Role::Nir];
    let scenes = [
        scene(&[&[50, 50], &[60, 40]], None),
        scene(&[&[10, 0], &[90, 0]], None),
        scene(&[&[20, 20], &[90, 90]], Some(&[Sky::Cloud; 2])),
    ];
    let found = combine(&plan(2, &roles), &scenes, Rule::MaxNdvi).unwrap();
    assert_eq!(found.provenance, [2, 1]);
    let blind = plan(2, &[Role::Red, Role::Measured]);
    let refused = combine(&blind, &scenes, Rule::MaxNdvi);
    assert_eq!(refused, Err(SpliceError::NoNdvi));
}

#[test]
fn a_band_that_a_scene_lacks_is_taken_from_others() {
    let plan = plan(2, &[Role::Measured, Role::Class]);
    let mut lacking = scene(&[&[7, 8], &[1, 1]], None);
    lacking.planes[1] = None;
    let scenes = [lacking, scene(&[&[0, 9], &[3, 4]], None)];
    let found = combine(&plan, &scenes, Rule::Median).unwrap();
    assert_eq!(
        (values(&found, 0), values(&found, 1)),
        (vec![7, 9], vec![3, 4])
    );
}

#[test]
fn adding_one_by_one_is_combining() {
    let plan = plan(600, &[Role::Measured, Role::Measured]);
    let draw = |seed: u64| {
        let next = |i: u64| (seed * 7_919 + i * 104_729) % 251;
        let values: Vec<u8> = (0..600)
            .map(|i| u8::try_from(next(i) % 9).unwrap())
            .collect();
        let seen =
            |i: u64| [Sky::Clear, Sky::Cloud, Sky::Void][usize::try_from(next(i) % 3).unwrap()];
        let sky: Vec<Sky> = (0..600).map(seen).collect();
        let other: Vec<u8> = values.iter().rev().copied().collect();
        scene(&[&values, &other], Some(&sky))
    };
    let scenes: Vec<Scene> = (1..7).map(draw).collect();
    let mut overlay = Overlay::new(plan.clone());
    for scene in &scenes {
        overlay.add(scene).unwrap();
    }
    let (stepwise, at_once) = (
        overlay.finish(),
        combine(&plan, &scenes, Rule::Newest).unwrap(),
    );
    assert_eq!(stepwise.provenance, at_once.provenance);
    assert_eq!(stepwise.used, at_once.used);
    assert_eq!(stepwise.sky, at_once.sky);
    for band in 0..2 {
        assert_eq!(values(&stepwise, band), values(&at_once, band));
    }
}

#[test]
fn scenes_that_do_not_fit_are_refused() {
    let plan = plan(2, &[Role::Measured]);
    let wrong = scene(&[&[1, 2, 3]], None);
    let refused = combine(&plan, &[scene(&[&[1, 2]], None), wrong], Rule::Median);
    assert_eq!(refused, Err(SpliceError::Unlike { scene: 2, band: 0 }));
    assert_eq!(
        combine(&plan, &[], Rule::Median),
        Err(SpliceError::Scenes(0))
    );
}
