//! From a lease to a model: the whole of one job, without the network.
//!
//! *Invariants*: the order in which splits are offered changes nothing; the same lease (and donor)
//! gives the same weights; what was left out is counted and told.
//!
//! *Not here*: leases and publishing (`work`, `publish`).

mod ahead;
pub mod heir;
pub mod kept;
pub mod learnt;
pub mod lesson;
pub mod ordeal;
pub mod outside;
pub mod pairs;
pub mod parts;
pub mod room;
pub mod rules;
pub mod scores;
pub mod stocked;
pub mod survey;
mod tree;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::Device;
use wire::model::Metrics;
use wire::run::{Lease, OutOfRange};
use wire::transfer::Descent;

use crate::checkpoint;
use crate::chips::normal::Normalisation;
use crate::chips::pins::Pins;
use crate::chips::planes::PlanesError;
use crate::config::{CONFIG_VERSION, DataConfig, ModelConfig, NetworkConfig, PairsConfig};
use crate::diary::Diary;
use crate::fit::{Course, Epoch, FitError, Learning, Lesson, Sample};
use crate::job::ahead::Ahead;
use crate::job::heir::Gift;
use crate::job::kept::Kept;
use crate::job::lesson::{LessonError, Material};
use crate::job::ordeal::Ordeal;
use crate::job::scores::{Baselines, Scored};
use crate::job::survey::{Survey, SurveyError};
use crate::memory::{Short, tried};
use crate::module;
use crate::module::open::ModuleError;
use crate::network::{Network, Weights};
use crate::probe::SOFTWARE;
use crate::program::handed::{Made, MadeError};
use crate::program::{self, ProgramError};
use crate::recipe::describe::Description;
use crate::recipe::{self, Recipe, Task, UnknownRecipe};
use crate::seed::Dice;
use crate::stop::Stop;
use crate::weights;

/// What a job learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// All but the weights.
    pub config: ModelConfig,
    /// The weights of the best epoch.
    pub weights: Weights,
    /// Those of the rival that it learned against, where there is one.
    pub rival: Option<Weights>,
    /// Every epoch.
    pub epochs: Vec<Epoch>,
    /// What a program left, where one learned instead of a network.
    pub made: Option<Made>,
}

/// Why a job gave no model.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The run asks for an unknown recipe.
    #[error(transparent)]
    Recipe(#[from] UnknownRecipe),
    /// A hyper-parameter is out of range.
    #[error(transparent)]
    Rules(#[from] OutOfRange),
    /// No split can be used.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// A split cannot be read.
    #[error(transparent)]
    Planes(#[from] PlanesError),
    /// Too few chips.
    #[error(transparent)]
    Lesson(#[from] LessonError),
    /// No weights were found.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Memory ran out beside learning.
    #[error(transparent)]
    Memory(#[from] Short),
    /// The run's program cannot be used.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its parent answers as well.
    #[error("{}", tree::no_better(.0))]
    NoBetter(Box<Descent>),
    /// The run's module cannot be learned with.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The run's program left nothing that can be used.
    #[error(transparent)]
    Made(#[from] MadeError),
}

impl JobError {
    /// Tells whether memory ran out.
    pub fn is_short(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::Fit(FitError::Memory(_)))
    }

    /// Tells whether trying again cannot help: the same lease would end the same way.
    pub fn hopeless(&self) -> bool {
        match self {
            Self::Recipe(_)
            | Self::Rules(_)
            | Self::Lesson(_)
            | Self::Program(_)
            | Self::Module(_)
            | Self::NoBetter(_) => true,
            Self::Made(error) => !error.is_stop(),
            Self::Survey(error) => !matches!(error, SurveyError::Read(_)),
            // A damaged or missing file may have been repaired by the next attempt.
            Self::Planes(error) => !matches!(error, PlanesError::Read(_)),
            Self::Fit(error) => !matches!(
                error,
                FitError::Stopped | FitError::State(_) | FitError::Memory(_)
            ),
            // Other jobs may need less by then.
            Self::Memory(_) => false,
        }
    }
}

/// What a job is done with, beside its lease.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where it computes.
    pub device: Device,
    /// Wished for once nobody wants the model.
    pub stop: Stop,
    /// Where it is said how the job goes.
    pub diary: Diary,
    /// Least time between two checkpoints, where the lease names a place for them.
    pub checkpoint_every: Duration,
    /// Where chips stay for the next job, if anywhere.
    pub pins: Option<Pins>,
    /// Bytes that the process may hold: near them, jobs look at fewer chips at a time.
    pub bytes_max: Option<u64>,
    /// The file of the run's module, where it has one.
    pub module: Option<Arc<Vec<u8>>>,
}

/// Learns the model of a lease on `device`; an heir's without a donor's file starts cold.
pub fn learn(lease: &Lease, device: Device, stop: &Stop) -> Result<Learned, JobError> {
    let setting = Setting {
        device,
        stop: stop.clone(),
        diary: Diary::default(),
        checkpoint_every: checkpoint::EVERY,
        pins: None,
        bytes_max: None,
        module: None,
    };
    learn_from(lease, None, &setting)
}

/// Learns the model of a lease, from its checkpoint if it has one; an heir's from what was brought
/// of its donor.
pub fn learn_from(
    lease: &Lease,
    gift: Option<&Gift>,
    setting: &Setting,
) -> Result<Learned, JobError> {
    tried(|| learned(lease, gift, setting))?
}

fn learned(lease: &Lease, gift: Option<&Gift>, setting: &Setting) -> Result<Learned, JobError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver: the seconds of a job are told to users and decide nothing"
    )]
    let start = Instant::now();
    let mut ahead = Ahead::default();
    let with = (setting, &mut ahead);
    let mut learned = match lease.run.recipe.strip_prefix(program::PREFIX) {
        None => by_network(lease, gift, with),
        Some(name) => outside::learn(lease, name, with),
    }?;
    learned.config.seconds = start.elapsed().as_secs_f64();
    learned.config.trained = Some(jiff::Timestamp::now());
    // What is left to prepare is the next job's time.
    drop(ahead);
    Ok(learned)
}

/// Has a network learn.
fn by_network(
    lease: &Lease,
    gift: Option<&Gift>,
    (setting, ahead): (&Setting, &mut Ahead),
) -> Result<Learned, JobError> {
    let recipe = recipe_of(lease, setting)?;
    rules::check(&lease.run.hyper, recipe)?;
    tch::set_num_threads(i32::try_from(lease.run.hyper.threads).unwrap_or(1));
    let survey = survey::survey(lease, recipe)?;
    let cuts = stocked::cuts(&survey, recipe, &lease.run.hyper, setting)?;
    let material = lesson::prepare(&cuts, &lease.run.hyper)?;
    drop(cuts);
    ahead.begin(lease, recipe, setting);
    setting
        .diary
        .say(&told(&material, survey.splits.len(), lease.run.hyper.test));
    let work = Work {
        lease,
        recipe,
        lesson: material.lesson(),
        normalisation: &material.normalisation,
        setting,
    };
    let kept = Kept::open(&work, gift);
    let (fitted, descent) = match &lease.heritage {
        Some(heritage) => {
            let (fitted, descent) = heir::fitted(&work, (heritage, gift), kept)?;
            let child = (&work, &fitted.network, &material);
            let descent = tree::judged((descent, gift), child)?;
            (fitted, Some(descent))
        }
        None => (work.cold(kept)?, None),
    };
    let Fitted {
        network,
        course,
        ordeal,
    } = fitted;
    let weights = network.weights();
    let job = Job {
        lease,
        task: recipe,
        survey: &survey,
        material: &material,
        told: Told::of(&recipe.describe(i64::from(lease.run.hyper.chip_px))),
    };
    let mut config = job.config(weights::hash(&weights));
    config.descent = descent;
    config.part_chips = course.part;
    config.metrics = scored(
        &network,
        Scored {
            task: recipe,
            chip_px: usize::try_from(lease.run.hyper.chip_px).unwrap_or(1),
            material: &material,
            course: &course,
            baselines: &Baselines::fitted(recipe, &material),
        },
    );
    drop(ordeal);
    Ok(Learned {
        config,
        weights,
        rival: network.rival_weights(),
        epochs: course.epochs,
        made: None,
    })
}

/// Returns the recipe of a run: one of ours, or its user's module once that was tried.
fn recipe_of(lease: &Lease, setting: &Setting) -> Result<&'static dyn Recipe, JobError> {
    let run = &lease.run;
    let Some(wish) = &run.module else {
        return Ok(recipe::parse(&run.recipe)?);
    };
    let (named, file) = ((run.recipe.as_str(), wish), setting.module.as_deref());
    let ready = module::ready(named, file.map(Vec::as_slice), run.hyper.chip_px);
    Ok(ready?)
}

/// Scores a network on all chips that were held out.
fn scored(network: &Network, scored: Scored<'_>) -> Metrics {
    let material = scored.material;
    let answers = network.answer(&material.validation.sample.chips);
    let test = material.test.as_ref().map(|exam| {
        let answers = network.answer(&exam.sample.chips);
        scores::test_scores(&answers, exam, scored)
    });
    Metrics {
        test,
        ..scores::scores(&answers, scored)
    }
}

/// Tells what there is to learn from.
fn told(material: &Material, splits: usize, test: f64) -> String {
    let chips = |sample: &Sample| sample.chips.size()[0];
    let (left, exams) = (&material.left_out, material.test.as_ref());
    let test = match exams {
        Some(exam) => format!(", {} for a test", chips(&exam.sample)),
        None if test > 0.0 => ", none for a test: there are too few".to_owned(),
        None => String::new(),
    };
    let buffered = match material.blocks.buffered {
        0 => String::new(),
        chips => format!(", {chips} beside held-out ones"),
    };
    format!(
        "{} chips of {splits} splits to learn from, {} held out{test}; left out: {} for fill, \
         {} for cloud, {} in the dark{buffered}",
        chips(&material.train),
        chips(&material.validation.sample),
        left.fill,
        left.cloud,
        left.no_label,
    )
}

/// What a network is to learn.
struct Work<'a> {
    lease: &'a Lease,
    recipe: &'a dyn Recipe,
    lesson: Lesson<'a>,
    normalisation: &'a Normalisation,
    setting: &'a Setting,
}

/// What learning gave.
struct Fitted {
    network: Network,
    course: Course,
    /// The note for the next worker: it lies until the model was scored, too.
    ordeal: Option<Ordeal>,
}

impl Work<'_> {
    /// Returns the network, and its rival if there is one, with the first weights that the seed and
    /// the cell give.
    fn network(&self) -> Network {
        let mut network = Network::new(self.recipe, self.setting.device, &mut self.dice("weights"));
        network.challenge(self.recipe, &mut self.dice("rival"));
        network
    }

    /// Returns the stream of numbers that orders chips.
    fn order(&self) -> Dice {
        self.dice("order")
    }

    fn dice(&self, purpose: &str) -> Dice {
        Dice::new(self.lease.run.seed, &[&self.lease.geocode, purpose])
    }

    /// Learns from first weights of its own.
    fn cold(&self, kept: Kept<'_>) -> Result<Fitted, JobError> {
        self.fitted(self.network(), kept)
    }

    /// Learns from the weights of a network, or goes on where a checkpoint was written.
    fn fitted(&self, mut network: Network, kept: Kept<'_>) -> Result<Fitted, JobError> {
        let mut order = self.order();
        let hyper = &self.lease.run.hyper;
        let mut learning = Learning::new(&mut network, &self.lesson, hyper, &mut order);
        let mut heed = kept.onto(&mut learning)?;
        let course = learning.finish(&self.lesson, &mut heed)?;
        let ordeal = heed.ordeal.take();
        Ok(Fitted {
            network,
            course,
            ordeal,
        })
    }
}

/// A job whose material is ready.
struct Job<'a> {
    lease: &'a Lease,
    task: &'a dyn Task,
    survey: &'a Survey,
    material: &'a Material,
    told: Told,
}

/// What a model's config tells of its description.
struct Told {
    task: &'static str,
    answer_shape: Vec<i64>,
    parameters: i64,
}

impl Told {
    fn of(described: &Description) -> Self {
        Self {
            task: described.task,
            answer_shape: { described.layers.last() }
                .map(|layer| layer.out.clone())
                .unwrap_or_default(),
            parameters: described.parameters,
        }
    }
}

impl Job<'_> {
    /// Tells all but scores and seconds, which are still to come.
    fn config(&self, weights_blake3: String) -> ModelConfig {
        let (lease, survey) = (self.lease, self.survey);
        let inputs = self.task.inputs().iter().map(|b| b.role.to_owned());
        let chip_px = lease.run.hyper.chip_px;
        ModelConfig {
            version: CONFIG_VERSION,
            run: lease.run.name.clone(),
            geocode: lease.geocode.clone(),
            scheme: survey.scheme,
            recipe: self.task.name().to_owned(),
            metrics: Metrics::default(),
            splits: survey.splits.len() as u64,
            seconds: 0.0,
            trained: None,
            network: NetworkConfig {
                inputs: inputs.collect(),
                answer: self.told.task.to_owned(),
                answer_bands: { self.task.answer().bands().iter() }
                    .map(|band| (*band).to_owned())
                    .collect(),
                answer_shape: self.told.answer_shape.clone(),
                chip_px,
                resolution_m: survey.resolution_m,
                parameters: u64::try_from(self.told.parameters).unwrap_or(0),
            },
            normalisation: self.material.normalisation.clone(),
            envelope: Some(self.material.envelope.clone()),
            data: self.data(),
            hyper: lease.run.hyper.clone(),
            seed: lease.run.seed,
            query: lease.run.query.clone(),
            weights_blake3,
            descent: None,
            part_chips: None,
            module: lease.run.module.clone(),
            software: SOFTWARE.to_owned(),
        }
    }

    /// Tells the pairs that chips were cut of.
    fn pairs(&self) -> Option<PairsConfig> {
        let rule = pairs::rule(&self.lease.run.query, self.task.pairs()?).ok()?;
        Some(PairsConfig {
            count: self.survey.sources.len() as u64,
            rule: rule.asked(),
        })
    }

    /// Tells where the chips came from.
    fn data(&self) -> DataConfig {
        DataConfig {
            datasets: self.survey.datasets(),
            acquired: self.survey.acquired(),
            split_ids_blake3: self.survey.ids_hash(),
            bands: self.survey.bands(),
            left_out: self.survey.left_out,
            chips_left_out: self.material.left_out,
            chips_decoded: Some(self.material.decoded),
            bytes_moved: self.lease.bytes_moved,
            blocks: self.material.blocks.clone(),
            pairs: self.pairs(),
        }
    }
}
