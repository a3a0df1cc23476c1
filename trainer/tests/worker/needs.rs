//! What a step really takes of memory, beside what a recipe's description tells before.

use tch::{Device, Kind, Tensor};
use trainer::fit::Sample;
use trainer::fit::tutor::Tutor;
use trainer::network::Network;
use trainer::recipe::ndmi_unet::NdmiUnet;
use trainer::recipe::ndvi_cnn::NdviCnn;
use trainer::recipe::spagan::SpaGan;
use trainer::recipe::{Answer, Recipe};
use trainer::resident;
use trainer::seed::Dice;

const MIB: f64 = 1_048_576.0;
/// Maps of less than 32 MiB lie in pieces that allocators keep.
const TOLD_FROM_MIB: f64 = 1024.0;
/// What was seen, over what was told: 0.91 to 1.2 when it was last looked at.
const AGREE: std::ops::Range<f64> = 0.75..1.35;

/// Steps on a batch of zeros; returns the greatest number of bytes held meanwhile.
fn step(recipe: &dyn Recipe, (chip_px, batch): (u32, u32)) -> u64 {
    let (chip_px, batch) = (i64::from(chip_px), i64::from(batch));
    let zeros = |channels: i64, side: i64| {
        Tensor::zeros([batch, channels, side, side], (Kind::Float, Device::Cpu))
    };
    let bands = i64::try_from(recipe.answer().bands().len()).expect("a few");
    let side = match recipe.answer() {
        Answer::Number => 1,
        Answer::Map { .. } => chip_px,
    };
    let channels = i64::try_from(recipe.inputs().len()).expect("a few");
    let sample = Sample {
        chips: zeros(channels, chip_px),
        labels: zeros(bands, side),
        veils: recipe.pairs().map(|_| zeros(1, chip_px)),
    };
    let network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
    let mut tutor = Tutor::new(&network, 1e-3);
    resident::forget_peak();
    // Two: what the optimiser keeps is made by the first.
    for _ in 0..2 {
        tutor.step(&network, &sample, usize::MAX);
    }
    resident::peak_bytes().expect("Linux")
}

/// Compares estimate and measurement, from small to large so that nothing freed is counted anew.
#[expect(clippy::print_stderr, reason = "figures are printed")]
fn compare(recipe: &dyn Recipe, sizes: &[(u32, u32)]) {
    tch::set_num_threads(1);
    step(recipe, (recipe.chip_px_step(), 1));
    let before = resident::bytes().expect("Linux");
    let mut wrong: Vec<(u32, u32, f64)> = Vec::new();
    for (chip_px, batch) in sizes {
        let told = recipe.describe(i64::from(*chip_px)).needs.expect("ours");
        let told = told.of_step(*batch) as f64 / MIB;
        let seen = step(recipe, (*chip_px, *batch)).saturating_sub(before) as f64 / MIB;
        let size = format!(r#""chip_px":{chip_px},"batch":{batch}"#);
        let mib = format!(r#""told_mib":{told:.0},"seen_mib":{seen:.0}"#);
        eprintln!(r#"{{"recipe":"{}",{size},{mib}}}"#, recipe.name());
        if told >= TOLD_FROM_MIB {
            let ratio: f64 = seen / told;
            if !AGREE.contains(&ratio) {
                wrong.push((*chip_px, *batch, ratio));
            }
        }
    }
    assert!(wrong.is_empty(), "seen / told: {wrong:?}");
}

/// The greatest sizes take 10 GiB, and small ones are told for the figure alone: both are left to
/// the nightly tier.
fn sizes<'a>(daily: &'a [(u32, u32)], nightly: &'a [(u32, u32)]) -> &'a [(u32, u32)] {
    match std::env::var_os("GLEBE_NIGHTLY") {
        Some(_) => nightly,
        None => daily,
    }
}

#[test]
fn a_step_of_ndvi_cnn_takes_about_the_memory_that_was_told() {
    let daily = [(512, 64)];
    let nightly = [(64, 64), (128, 64), (256, 64), (512, 64), (1024, 64)];
    compare(&NdviCnn, sizes(&daily, &nightly));
}

#[test]
fn a_step_of_ndmi_unet_takes_about_the_memory_that_was_told() {
    let daily = [(256, 16)];
    let nightly = [
        (64, 32),
        (128, 32),
        (256, 2),
        (256, 32),
        (512, 2),
        (1024, 2),
        (2048, 2),
    ];
    compare(&NdmiUnet, sizes(&daily, &nightly));
}

#[test]
fn a_step_of_spagan_takes_about_the_memory_that_was_told() {
    let daily = [(256, 4)];
    let nightly = [(32, 8), (64, 8), (128, 8), (256, 8)];
    compare(&SpaGan, sizes(&daily, &nightly));
}
