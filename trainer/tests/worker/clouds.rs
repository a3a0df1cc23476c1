//! Clouds of every sensor whose quality band we read: told pixel by pixel, and not learned from.
//!
//! Values are those of the products' own definitions, written here anew.

use tch::Device;
use trainer::chips::choose::choose;
use trainer::chips::planes::{self, Planes};
use trainer::files::read_meta;
use trainer::job::learn;
use trainer::recipe::BandWish;
use trainer::stop::Stop;
use wire::run::Hyper;

use crate::world::{Quality, Scene, folder, lease, quick};

/// `cloud_source`, band, what clear ground has, what hides it: cloud, shadow, no observation.
type Sensor = (&'static str, &'static str, &'static [u16], &'static [u16]);

const SENSORS: &[Sensor] = &[
    ("scl", "SCL", &[4, 5, 6, 11], &[3, 8, 9, 10]),
    // Clear, snow, cirrus alone; fill, cloud, shadow.
    (
        "qa_pixel",
        "QA_PIXEL",
        &[21_824, 30_048, 54_596],
        &[1, 22_280, 23_888],
    ),
    ("bqa", "BQA", &[2_720, 3_744, 6_816], &[1, 2_800, 2_976]),
    ("bqa-0", "BQA-0", &[20_480, 23_552], &[1, 53_248]),
    // State: land, snow; cloudy, mixed, shadow, internal cloud, not produced.
    (
        "modis_state",
        "sur_refl_state_500m",
        &[8, 8 + (1 << 12)],
        &[8 + 1, 8 + 2, 8 + 4, 8 + (1 << 10), 0xFFFF],
    ),
    ("modis_fparextra", "FparExtra_QC", &[8, 4], &[32, 16, 64]),
    ("modis_lst_qc", "QC_Day", &[1, 4], &[2, 3]),
    ("modis_snow", "Maximum_Snow_Extent", &[25, 200], &[50, 11]),
    ("modis_reliability", "pixel_reliability", &[1, 2], &[3]),
    // The buffer around clouds and snow; invalid, cloud of three kinds, shadow.
    (
        "idepix",
        "pixel_classif_flags",
        &[16, 64],
        &[1, 2, 4, 8, 32],
    ),
    (
        "slstr_confidence",
        "confidence_an",
        &[1, 8_192],
        &[32, 16_384],
    ),
];

const RED: BandWish = BandWish {
    role: "red",
    commons: &["red"],
};

/// Reads a scene whose western half has one value of a quality band and the rest another.
fn planes_of(quality: Quality) -> Planes {
    let (_keep, path) = folder();
    let scene = Scene {
        cloud_columns: 160,
        quality,
        ..Scene::new("a", 1)
    };
    let split = scene.write(&path);
    let meta = read_meta(&split.folder).expect("metadata");
    let choice = choose(&meta, &[RED], &[]).expect("a red band");
    planes::read(&split.folder, &meta, &choice, 1).expect("planes")
}

#[test]
fn the_quality_band_of_every_sensor_tells_which_pixels_hide_the_ground() {
    for (source, band, clear, hiding) in SENSORS.iter().copied() {
        for (clear, hides) in { clear.iter() }.flat_map(|c| hiding.iter().map(move |h| (*c, *h))) {
            let quality = Quality {
                source,
                band,
                values: (hides, clear),
            };
            let planes = planes_of(quality);
            let cloud = planes.cloud.expect("the band tells");
            let width = planes.shape.width;
            let is_right = |(at, hidden): (usize, &bool)| match at % width {
                0..158 => *hidden,
                162.. => !*hidden,
                // The border, to a pixel of 20 m.
                _ => true,
            };
            assert_eq!(width, 320);
            assert!(
                cloud.iter().enumerate().all(is_right),
                "{band}: {hides} hides the ground, {clear} shows it"
            );
        }
    }
}

#[test]
fn a_quality_band_that_clouds_were_not_counted_from_tells_nothing() {
    let quality = Quality {
        source: "file",
        band: "QA_PIXEL",
        values: (22_280, 21_824),
    };
    assert_eq!(planes_of(quality).cloud, None, "a user knows better");
}

#[test]
fn clouded_chips_of_landsat_are_left_out() {
    let (_keep, path) = folder();
    let scene = Scene {
        cloud_columns: 160,
        quality: Quality {
            source: "qa_pixel",
            band: "QA_PIXEL",
            values: (22_280, 21_824),
        },
        ..Scene::new("a", 1)
    };
    let hyper = Hyper {
        epochs: 1,
        ..quick()
    };
    let lease = lease(vec![scene.write(&path)], hyper);
    let learned = learn(&lease, Device::Cpu, &Stop::default()).expect("a model");
    let clouded = learned.config.data.chips_left_out.cloud;
    assert!(
        (290..=310).contains(&clouded),
        "{clouded} of 600 chips, half of them under cloud"
    );
}
