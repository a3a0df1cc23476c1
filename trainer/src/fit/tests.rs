//! What learning keeps, and that it may be left and gone on with.

use tch::{Device, Tensor};
use wire::run::Hyper;

use super::{FitError, Learning, Lesson, Sample, fit, score};
use crate::checkpoint::{Keeper, Spot};
use crate::fit::tutor::Tutor;
use crate::heed::Heed;
use crate::network::Network;
use crate::recipe::ndmi_unet::NdmiUnet;
use crate::recipe::ndvi_cnn::NdviCnn;
use crate::recipe::spagan::SpaGan;
use crate::recipe::{Answer, Recipe};
use crate::seed::Dice;
use crate::stop::Stop;
use crate::weights::hash;

/// Chips and labels that have nothing to do with each other: what is learned does not last.
fn noise(count: usize, answer: Answer, word: &str) -> Sample {
    let mut dice = Dice::new(1, &[word]);
    let mut draw = |channels: usize, side: usize| {
        let numbers = (0..count * channels * side * side).map(|_| dice.unit() * 2.0 - 1.0);
        let whole = |n: usize| i64::try_from(n).expect("a small number");
        let shape = [count, channels, side, side].map(whole);
        let drawn = Tensor::from_slice(&numbers.collect::<Vec<f64>>());
        drawn.to_kind(tch::Kind::Float).reshape(shape)
    };
    Sample {
        chips: draw(3, SIDE_PX),
        labels: draw(answer.bands().len(), answer.side(SIDE_PX)),
        veils: None,
    }
}

const SIDE_PX: usize = 16;

#[test]
fn the_weights_of_the_best_epoch_remain_to_the_bit() {
    best_epoch_remains(&NdviCnn);
}

#[test]
fn what_batch_normalisation_remembered_at_the_best_epoch_remains_with_it() {
    best_epoch_remains(&NdmiUnet);
}

fn best_epoch_remains(recipe: &dyn Recipe) {
    // As a job does: threads that wait for one another on a busy machine are slower than one.
    tch::set_num_threads(1);
    let (train, validation) = ("train", "validation");
    let [train, validation] =
        [(64, train), (32, validation)].map(|(count, word)| noise(count, recipe.answer(), word));
    let lesson = Lesson {
        train: &train,
        validation: &validation,
        label_variance: 1.0,
    };
    let hyper = Hyper {
        epochs: 40,
        learning_rate: 0.01,
        patience: 5,
        ..Hyper::default()
    };
    let dice = &mut Dice::new(1, &["order"]);
    let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
    let course = fit(&mut network, &lesson, &hyper, dice, &Stop::default()).expect("weights");
    let last = course.epochs.last().expect("an epoch");
    let best = course.epochs.iter().find(|e| e.epoch == course.best_epoch);
    let best = best.expect("the best epoch");
    assert_eq!(
        last.epoch,
        best.epoch + 5,
        "patience ran out after the best epoch"
    );
    assert!(last.validation_mse > best.validation_mse);
    let now = score(&network, &validation);
    assert_eq!(
        now.to_bits(),
        best.validation_mse.to_bits(),
        "{now} {best:?}"
    );
}

/// Learns for some epochs, is stopped in the middle of the last, and goes on elsewhere.
fn goes_on_to_the_bit(recipe: &dyn Recipe) {
    tch::set_num_threads(1);
    let [train, validation] = [("train", 100), ("validation", 16)]
        .map(|(word, count)| noise(count, recipe.answer(), word));
    let lesson = Lesson {
        train: &train,
        validation: &validation,
        label_variance: 1.0,
    };
    let network = || {
        let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
        network.challenge(recipe, &mut Dice::new(2, &[]));
        network
    };
    let hyper = Hyper {
        epochs: 3,
        ..Hyper::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let spot = Spot {
        path: folder.path().join("kept"),
        token: 1,
        every: std::time::Duration::ZERO,
    };
    let (stop, of) = (Stop::default(), [0; 32]);
    let (mut whole, mut dice) = (network(), Dice::new(1, &["order"]));
    let mut learning = Learning::new(&mut whole, &lesson, &hyper, &mut dice);
    let mut heed = Heed::only(&stop);
    heed.keeper = Some(Keeper::open(spot.clone(), of).0);
    for _ in 0..2 {
        learning.epoch(&lesson, &mut heed).expect("an epoch");
    }
    // What lies there now was written before the last batch of the second epoch.
    let (_, kept) = Keeper::open(spot, of);
    let state = kept.expect("a checkpoint").expect("ours").state;
    assert_eq!((state.epochs.len(), state.place.chip), (1, 96));
    let course = learning
        .finish(&lesson, &mut Heed::only(&stop))
        .expect("weights");

    let (mut next, mut dice) = (network(), Dice::new(9, &["any"]));
    let mut learning = Learning::new(&mut next, &lesson, &hyper, &mut dice);
    learning.restore(state).expect("it fits");
    let again = learning
        .finish(&lesson, &mut Heed::only(&stop))
        .expect("weights");
    assert_eq!(again, course);
    assert_eq!(hash(&next.weights()), hash(&whole.weights()));
    assert_eq!(next.rival_weights(), whole.rival_weights());
}

#[test]
fn learning_goes_on_from_the_middle_of_an_epoch_to_the_bit() {
    goes_on_to_the_bit(&NdviCnn);
    goes_on_to_the_bit(&NdmiUnet);
}

#[test]
fn learning_against_a_rival_goes_on_from_the_middle_of_an_epoch_to_the_bit() {
    goes_on_to_the_bit(&SpaGan);
}

#[test]
fn a_batch_in_parts_is_stepped_on_as_a_whole_one() {
    tch::set_num_threads(1);
    let sample = noise(20, Answer::Number, "train");
    // Labels that are not known are not spread evenly over parts.
    drop(sample.labels.narrow(0, 3, 4).fill_(f64::NAN));
    let stepped = |part: usize| {
        let network = Network::new(&NdviCnn, Device::Cpu, &mut Dice::new(1, &[]));
        let mut tutor = Tutor::new(&network, 0.01);
        let losses = [(); 5].map(|()| tutor.step(&network, &sample, part).mse);
        (losses, network.answer(&sample.chips))
    };
    let (losses, answers) = stepped(20);
    for part in [1, 3, 7, 19] {
        let (in_parts, theirs) = stepped(part);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4 * a.abs().max(1.0);
        assert!(
            losses.iter().zip(&in_parts).all(|(a, b)| near(*a, *b)),
            "{losses:?} {in_parts:?}"
        );
        let answers = answers.iter().zip(&theirs);
        assert!(
            { answers }.all(|(a, b)| near((*a).into(), (*b).into())),
            "{part}"
        );
    }
}

#[test]
fn a_label_turns_with_its_chip() {
    // What is red is to be answered as it is: learned only if pixels stay beside their labels.
    tch::set_num_threads(1);
    let chips = noise(64, Answer::Number, "red").chips;
    let sample = Sample {
        labels: chips.narrow(1, 0, 1),
        chips,
        veils: None,
    };
    let lesson = Lesson {
        train: &sample,
        validation: &sample,
        label_variance: 1.0,
    };
    let hyper = Hyper {
        epochs: 6,
        learning_rate: 0.01,
        ..Hyper::default()
    };
    let mut network = Network::new(&NdmiUnet, Device::Cpu, &mut Dice::new(1, &[]));
    let dice = &mut Dice::new(1, &["order"]);
    let course = fit(&mut network, &lesson, &hyper, dice, &Stop::default()).expect("weights");
    let [first, last] = [course.epochs.first(), course.epochs.last()].map(|e| e.expect("one"));
    assert!(last.train_mse < 0.3 * first.train_mse, "{course:?}");
}

#[test]
fn the_eight_symmetries_are_different_and_keep_every_pixel() {
    let chip = Tensor::arange(4, (tch::Kind::Float, Device::Cpu)).reshape([1, 1, 2, 2]);
    let mut seen = std::collections::BTreeSet::new();
    for symmetry in 0..super::SYMMETRIES {
        let turned = super::ahead::turned(&chip, symmetry).reshape([4]);
        let pixels = Vec::<f64>::try_from(&turned.to_kind(tch::Kind::Double));
        let pixels = pixels.expect("four numbers");
        assert!((pixels.iter().sum::<f64>() - 6.0).abs() < 1e-9);
        seen.insert(format!("{pixels:?}"));
    }
    assert_eq!(seen.len(), super::SYMMETRIES);
}

#[test]
fn a_wish_to_stop_ends_it() {
    let sample = noise(8, Answer::Number, "train");
    let lesson = Lesson {
        train: &sample,
        validation: &sample,
        label_variance: 1.0,
    };
    let stop = Stop::default();
    stop.wish();
    let mut network = Network::new(&NdviCnn, Device::Cpu, &mut Dice::new(1, &[]));
    let dice = &mut Dice::new(1, &[]);
    let ended = fit(&mut network, &lesson, &Hyper::default(), dice, &stop);
    assert_eq!(ended, Err(FitError::Stopped));
}

#[test]
fn batches_prepared_ahead_give_the_weights_of_batches_made_when_needed() {
    tch::set_num_threads(1);
    for recipe in [&NdviCnn as &dyn Recipe, &NdmiUnet] {
        let [train, validation] =
            [(70, "train"), (16, "validation")].map(|(n, word)| noise(n, recipe.answer(), word));
        let lesson = Lesson {
            train: &train,
            validation: &validation,
            label_variance: 1.0,
        };
        let hyper = Hyper {
            epochs: 2,
            ..Hyper::default()
        };
        let learned = |ahead: bool| {
            let (mut dice, stop) = (Dice::new(1, &["order"]), Stop::default());
            let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
            let mut learning = Learning::new(&mut network, &lesson, &hyper, &mut dice);
            assert!(learning.loader.is_some());
            if !ahead {
                learning.loader = None;
            }
            let course = learning.finish(&lesson, &mut Heed::only(&stop));
            (course.expect("weights").epochs, hash(&network.weights()))
        };
        assert_eq!(learned(true), learned(false));
    }
}
