//! A job that a program of the owner's does, instead of a network of ours.
//!
//! *Invariants*: the same splits, chips, normalisation, baselines and scores as for a network, but
//! no test (`wire::run::Run::check`); what the program left is published as it is.
//!
//! *Not here*: running it (`program`).

use wire::run::Lease;

use crate::fit::Course;
use crate::job::ahead::Ahead;
use crate::job::scores::{Baselines, Scored, scores};
use crate::job::{Job, JobError, Learned, Setting, Told, lesson, rules, stocked, survey};
use crate::network::Weights;
use crate::program::{self, handed};

/// Has the program of a lease's run learn.
pub(super) fn learn(
    lease: &Lease,
    name: &str,
    (setting, ahead): (&Setting, &mut Ahead),
) -> Result<Learned, JobError> {
    let program = program::find(name)?;
    let hyper = &lease.run.hyper;
    rules::check(hyper, program)?;
    let survey = survey::survey(lease, program)?;
    let cuts = stocked::cuts(&survey, program, hyper, setting)?;
    let material = lesson::prepare(&cuts, hyper)?;
    drop(cuts);
    ahead.begin(lease, program, setting);
    let made = handed::made(program, lease, &material, &setting.stop)?;
    let job = Job {
        lease,
        task: program,
        survey: &survey,
        material: &material,
        told: Told::of(&program.describe(i64::from(hyper.chip_px))),
    };
    let mut config = job.config(blake3::hash(&made.bytes).to_hex().to_string());
    let course = Course {
        epochs: Vec::new(),
        best_epoch: 0,
        part: None,
    };
    let scored = Scored {
        task: program,
        chip_px: usize::try_from(hyper.chip_px).unwrap_or(1),
        material: &material,
        course: &course,
        baselines: &Baselines::fitted(program, &material),
    };
    config.metrics = scores(&made.answers, scored);
    Ok(Learned {
        config,
        weights: Weights::new(),
        rival: None,
        epochs: Vec::new(),
        made: Some(made),
    })
}
