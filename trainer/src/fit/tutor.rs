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
use crate::fit::adam::{Adam, Moments};
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

    /// Steps on a batch; returns its losses before the step.
    pub fn step(&mut self, network: &Network, batch: &Sample) -> Losses {
        if let (Some(optimiser), Some(rival)) = (&mut self.rival, network.rival()) {
            return against(network, rival, batch, [&mut self.network, optimiser]);
        }
        let answers = network.forward(&batch.chips, Phase::Learn);
        let loss = loss::mse(&answers, &batch.labels);
        let gradient = self.network.gradient(&loss);
        self.network.step(&gradient);
        Losses {
            mse: number(&loss),
            rivalry: None,
        }
    }
}

/// Steps the rival, then the network.
fn against(
    network: &Network,
    rival: &Opponent,
    batch: &Sample,
    [ours, theirs]: [&mut Adam; 2],
) -> Losses {
    let (answers, attention) = network.attend(&batch.chips, Phase::Learn);
    let shown = answers.detach();
    let known = batch.labels.isfinite();
    let labels = batch.labels.where_self(&known, &shown);
    let judge = |images: &Tensor| rival.body.judge(&batch.chips, images);
    let fooled = loss::fooled(&judge(&labels), &judge(&shown));
    let gradient = theirs.gradient(&fooled);
    theirs.step(&gradient);

    let l1 = loss::l1(&answers, &batch.labels);
    // What a masked label does not tell is not learned from the rival either.
    let passing = answers.where_self(&known, &shown);
    let unmasked = loss::unmasked(&judge(&passing));
    let attended = match (&attention, &batch.veils) {
        (Some(attention), Some(veils)) => loss::mse(attention, veils),
        _ => l1.zeros_like(),
    };
    let gradient = ours.gradient(&(&unmasked + &l1 * TRUTH + &attended * ATTENTION));
    ours.step(&gradient);
    Losses {
        mse: number(&loss::mse(&shown, &batch.labels)),
        rivalry: Some(Rivalry {
            l1: number(&l1),
            unmasked: number(&unmasked),
            fooled: number(&fooled),
            attention: number(&attended),
        }),
    }
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
