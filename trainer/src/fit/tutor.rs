//! One step of learning: alone on squared errors, or against a rival.
//!
//! Against a rival (Goodfellow et al. 2014, Isola et al. 2017) a step is two: the rival learns to
//! tell labels from answers, then the network learns to fool it, to answer what is true, and, where
//! it attends to what hides the ground, to attend to that alone (Pan 2020).
//!
//! *Invariants*: what a label does not tell (NaN) the rival is shown as answered, in label and
//! answer alike, so that it cannot tell them apart by that; the losses told are those before the
//! step.
//!
//! *Not here*: the losses' formulas (`loss`), which batches (`fit`).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::fit::Sample;
use crate::fit::adam::{Adam, Mark, Moments};
use crate::loss;
use crate::network::{Network, Opponent};
use crate::recipe::Phase;

/// How much a distance between answer and label counts against not passing for one (Isola et al.).
const TRUTH: f64 = 100.0;
/// How much attention to what hides the ground counts.
const ATTENTION: f64 = 10.0;
/// Share of the last step in the next: the paper's of Adam.
const BETA1: f64 = 0.9;
/// The same against a rival: less, since the rival moves too (Radford et al. 2016).
const BETA1_RIVALS: f64 = 0.5;

/// How a network and its rival did, without weights of what counts how much.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rivalry {
    /// Mean absolute error, standardised.
    pub l1: f64,
    /// What it cost not to pass for a label: ln 2 where the rival cannot decide.
    pub unmasked: f64,
    /// What it cost the rival to be fooled: 2 ln 2 where it cannot decide.
    pub fooled: f64,
    /// Mean squared distance of attention and cloud mask.
    pub attention: f64,
}

/// Losses of a step or a mean of several.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses {
    /// Mean squared error, standardised.
    pub mse: f64,
    /// Those against a rival.
    pub rivalry: Option<Rivalry>,
}

/// Makes steps.
#[derive(Debug)]
pub struct Tutor {
    network: Adam,
    rival: Option<Adam>,
}

impl Tutor {
    /// Builds what steps the network, and its rival where there is one.
    pub fn new(network: &Network, learning_rate: f64) -> Self {
        let beta1 = network.rival().map_or(BETA1, |_| BETA1_RIVALS);
        let rival = network.rival();
        Self {
            network: Adam::new(network.vars(), learning_rate, beta1),
            rival: rival.map(|rival| Adam::new(&rival.vars, learning_rate, beta1)),
        }
    }

    /// Steps at another rate from now on.
    pub fn set_rate(&mut self, learning_rate: f64) {
        self.network.set_rate(learning_rate);
        if let Some(rival) = &mut self.rival {
            rival.set_rate(learning_rate);
        }
    }

    /// Copies out what the next step depends on beside weights.
    pub fn moments(&self) -> (Moments, Option<Moments>) {
        let rival = self.rival.as_ref();
        (self.network.moments(), rival.map(Adam::moments))
    }

    /// Puts it in; tells whether it fits.
    pub fn set_moments(&mut self, (network, rival): &(Moments, Option<Moments>)) -> bool {
        let fits = match (&mut self.rival, rival) {
            (Some(ours), Some(rival)) => ours.set_moments(rival),
            (None, None) => true,
            _ => false,
        };
        fits && self.network.set_moments(network)
    }

    /// Steps on a batch, of which no more chips than `part` are looked at at a time: the gradient
    /// is the sum over parts. Returns its losses before the step.
    pub fn step(&mut self, network: &Network, batch: &Sample, part: usize) -> Losses {
        let parts = batch.parts(part);
        match (&mut self.rival, network.rival()) {
            (Some(theirs), Some(rival)) => {
                against(network, rival, &parts, [&mut self.network, theirs])
            }
            _ => alone(network, &parts, &mut self.network),
        }
    }

    /// Marks what a step changes before its end.
    pub fn mark(&self) -> Option<Mark> {
        self.rival.as_ref().map(Adam::mark)
    }

    /// Brings it back.
    pub fn back(&mut self, mark: Option<Mark>) {
        if let (Some(rival), Some(mark)) = (&mut self.rival, mark) {
            rival.back(mark);
        }
    }
}

/// A part of a batch, with its share of the batch's chips and of its known labels.
struct Part {
    sample: Sample,
    chips: f64,
    known: f64,
}

impl Sample {
    /// Parts a batch into as many chips at a time.
    fn parts(&self, chips: usize) -> Vec<Part> {
        let (all, chips) = (
            self.chips.size()[0],
            i64::try_from(chips).unwrap_or(i64::MAX),
        );
        let known = |labels: &Tensor| {
            let known = labels.isfinite().sum(Kind::Int64).int64_value(&[]);
            known.max(1) as f64
        };
        if all <= chips {
            return vec![self.part((0, all), [1.0, 1.0])];
        }
        let (all_known, chips) = (known(&self.labels), chips.max(1));
        let starts = (0..all).step_by(usize::try_from(chips).unwrap_or(1));
        let part = |start: i64| {
            let size = chips.min(all - start);
            let known = known(&self.labels.narrow(0, start, size));
            self.part((start, size), [size as f64 / all as f64, known / all_known])
        };
        starts.map(part).collect()
    }

    fn part(&self, (start, size): (i64, i64), [chips, known]: [f64; 2]) -> Part {
        let pick = |from: &Tensor| from.narrow(0, start, size);
        let sample = Self {
            chips: pick(&self.chips),
            labels: pick(&self.labels),
            veils: self.veils.as_ref().map(pick),
        };
        Part {
            sample,
            chips,
            known,
        }
    }
}

/// A gradient of several parts.
#[derive(Default)]
struct Sum(Option<Tensor>);

impl Sum {
    fn add(&mut self, gradient: Tensor) {
        self.0 = Some(match self.0.take() {
            Some(sum) => sum + gradient,
            None => gradient,
        });
    }

    fn step(self, optimiser: &mut Adam) {
        if let Some(gradient) = self.0 {
            optimiser.step(&gradient);
        }
    }
}

/// Steps a network without a rival.
fn alone(network: &Network, parts: &[Part], ours: &mut Adam) -> Losses {
    let mut losses = Losses::default();
    let mut sum = Sum::default();
    for part in parts {
        let answers = network.forward(&part.sample.chips, Phase::Learn);
        let (small, mse) = network.losses(&answers, &part.sample.labels);
        sum.add(ours.gradient(&(small * part.known)));
        losses.mse += number(&(mse * part.known));
    }
    sum.step(ours);
    losses
}

/// Steps the rival, then the network.
fn against(
    network: &Network,
    rival: &Opponent,
    parts: &[Part],
    [ours, theirs]: [&mut Adam; 2],
) -> Losses {
    let mut told = Rivalry::default();
    let mut sum = Sum::default();
    // What a batch in one part answered is judged twice; several parts would not all be kept.
    let mut answered = None;
    for Part { sample, chips, .. } in parts {
        let (answers, attention) = network.attend(&sample.chips, Phase::Learn);
        let shown = answers.detach();
        let labels = sample.labels.where_self(&sample.labels.isfinite(), &shown);
        let judge = |images: &Tensor| rival.body.judge(&sample.chips, images);
        let fooled = loss::fooled(&judge(&labels), &judge(&shown)) * *chips;
        sum.add(theirs.gradient(&fooled));
        told.fooled += number(&fooled);
        answered = (parts.len() == 1).then_some((answers, attention));
    }
    sum.step(theirs);

    let mut losses = Losses::default();
    let mut sum = Sum::default();
    for part in parts {
        let sample = &part.sample;
        let answered = answered.take();
        let (answers, attention) =
            answered.unwrap_or_else(|| network.attend(&sample.chips, Phase::Learn));
        let shown = answers.detach();
        let l1 = loss::l1(&answers, &sample.labels) * part.known;
        // What a masked label does not tell is not learned from the rival either.
        let passing = answers.where_self(&sample.labels.isfinite(), &shown);
        let judged = rival.body.judge(&sample.chips, &passing);
        let unmasked = loss::unmasked(&judged) * part.chips;
        let attended = match (&attention, &sample.veils) {
            (Some(attention), Some(veils)) => loss::mse(attention, veils) * part.chips,
            _ => l1.zeros_like(),
        };
        sum.add(ours.gradient(&(&unmasked + &l1 * TRUTH + &attended * ATTENTION)));
        losses.mse += number(&(loss::mse(&shown, &sample.labels) * part.known));
        told.l1 += number(&l1);
        told.unmasked += number(&unmasked);
        told.attention += number(&attended);
    }
    sum.step(ours);
    losses.rivalry = Some(told);
    losses
}

impl Losses {
    /// Adds a share of others.
    pub fn add(&mut self, others: Self, share: f64) {
        self.mse += others.mse * share;
        if let Some(theirs) = others.rivalry {
            let ours = self.rivalry.get_or_insert_default();
            ours.l1 += theirs.l1 * share;
            ours.unmasked += theirs.unmasked * share;
            ours.fooled += theirs.fooled * share;
            ours.attention += theirs.attention * share;
        }
    }

    /// Tells whether all of them are numbers.
    pub fn is_finite(&self) -> bool {
        let of_rivals = |r: &Rivalry| {
            [r.l1, r.unmasked, r.fooled, r.attention].map(f64::is_finite) == [true; 4]
        };
        self.mse.is_finite() && self.rivalry.as_ref().is_none_or(of_rivals)
    }
}

fn number(loss: &Tensor) -> f64 {
    loss.to_kind(Kind::Double).double_value(&[])
}
