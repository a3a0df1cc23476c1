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

use serde::Serialize;
use tch::nn::{self, OptimizerConfig as _};
use tch::{Kind, TchError, Tensor};

use crate::fit::Sample;
use crate::loss;
use crate::network::{Network, Opponent};
use crate::recipe::Phase;

/// How much a distance between answer and label counts against not passing for one (Isola et al.).
const TRUTH: f64 = 100.0;
/// How much attention to what hides the ground counts.
const ATTENTION: f64 = 10.0;
/// Share of the last step in the next: less than Adam's own, since the rival moves too (Radford et
/// al. 2016).
const BETA1: f64 = 0.5;

/// How a network and its rival did, without weights of what counts how much.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Losses {
    /// Mean squared error, standardised.
    pub mse: f64,
    /// Those against a rival.
    pub rivalry: Option<Rivalry>,
}

/// Makes steps.
#[derive(Debug)]
pub struct Tutor {
    network: nn::Optimizer,
    rival: Option<nn::Optimizer>,
}

impl Tutor {
    /// Builds what steps the network, and its rival where there is one.
    pub fn new(network: &Network, learning_rate: f64) -> Result<Self, TchError> {
        let mut adam = nn::Adam::default();
        let Some(rival) = network.rival() else {
            return Ok(Self {
                network: adam.build(network.vars(), learning_rate)?,
                rival: None,
            });
        };
        adam.beta1 = BETA1;
        Ok(Self {
            network: adam.build(network.vars(), learning_rate)?,
            rival: Some(adam.build(&rival.vars, learning_rate)?),
        })
    }

    /// Steps on a batch; returns its losses before the step.
    pub fn step(&mut self, network: &Network, batch: &Sample) -> Losses {
        if let (Some(optimiser), Some(rival)) = (&mut self.rival, network.rival()) {
            return against(network, rival, batch, [&mut self.network, optimiser]);
        }
        let answers = network.forward(&batch.chips, Phase::Learn);
        let loss = loss::mse(&answers, &batch.labels);
        self.network.backward_step(&loss);
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
    [ours, theirs]: [&mut nn::Optimizer; 2],
) -> Losses {
    let (answers, attention) = network.attend(&batch.chips, Phase::Learn);
    let shown = answers.detach();
    let known = batch.labels.isfinite();
    let labels = batch.labels.where_self(&known, &shown);
    let judge = |images: &Tensor| rival.body.judge(&batch.chips, images);
    let fooled = loss::fooled(&judge(&labels), &judge(&shown));
    theirs.backward_step(&fooled);

    let l1 = loss::l1(&answers, &batch.labels);
    // What a masked label does not tell is not learned from the rival either.
    let passing = answers.where_self(&known, &shown);
    let unmasked = loss::unmasked(&judge(&passing));
    let attended = match (&attention, &batch.veils) {
        (Some(attention), Some(veils)) => loss::mse(attention, veils),
        _ => l1.zeros_like(),
    };
    ours.backward_step(&(&unmasked + &l1 * TRUTH + &attended * ATTENTION));
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
