//! `glebe train`: one model per cell, where its data lies.
//!
//! *Invariants*: an embedded run waits for its end, since its node ends with the command; a run on
//! a cluster goes on without the command.
//!
//! *Not here*: plans and leases (node), fitting (trainer), waiting (`wait`), cells that got no
//! model (`lost`), what helps then (`remedy`).

pub(crate) mod heirs;
mod lost;
pub(crate) mod module;
pub(crate) mod recipe;
mod remedy;
mod wait;

use std::process::ExitCode;

use query::{Paired, Query};
use wire::fault::{Fault, FaultKind};
use wire::model::{InputMetrics, MapMetrics};
use wire::run::{Hyper, JobState, PROGRAM, Packing, Plan, Run, RunView};

use crate::Done;
use crate::args::{ModeArg, Train, lesson};
use crate::print::{Screen, bytes, line};
use crate::session::Session;
use crate::status::short;
use crate::train::module::Local;
use crate::train::recipe::{Form, Recipe};
pub(crate) use crate::train::wait::wait;

pub(crate) async fn run(session: &Session, mut args: Train) -> Done {
    let module = Local::of(&args)?;
    if let Some(module) = &module {
        args.recipe.clone_from(&module.recipe);
    }
    if args.describe {
        let form = if session.screen.is_json() {
            Form::Json
        } else {
            Form::Table
        };
        let sizes = (args.chip, args.batch);
        let told = recipe::described((&args.recipe, module.as_ref()), sizes, form).await?;
        line(told.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let is_cluster = session.settings.cluster.value.is_some();
    let known = recipe::checked((&args.recipe, module.as_ref()), args.chip, is_cluster).await?;
    let mut run = described(&args, &known)?;
    run.module = module.as_ref().map(|module| module.wish.clone());
    let client = session.client().await?;
    if let Some(module) = module {
        module.check_bands(&client, &run.query).await?;
        if !args.dry_run {
            module.put(&client).await?;
        }
    }
    let plan = client.start_run(&run, args.dry_run).await?;
    if args.dry_run {
        return Ok(print_plan(&session.screen, &run, &plan));
    }
    if plan.jobs == 0 {
        return Err(Fault::new(
            FaultKind::Nothing,
            "no split matches, so there is nothing to train",
        )
        .try_("the same selectors with glebe search, which says why"));
    }
    let note = format!(
        "run {}: {} models from {} splits",
        run.name, plan.jobs, plan.splits
    );
    session.screen.note(note);
    if let Some(inheritance) = &plan.inheritance {
        session.screen.note(heirs::told(inheritance));
    }
    if args.wait || session.settings.cluster.value.is_none() {
        return wait(session, &client, &run.name).await;
    }
    if session.screen.is_json() {
        session.screen.json(&plan);
    } else {
        line(&run.name);
    }
    session.screen.note(format!(
        "watch: glebe job wait {0}   stop: glebe job cancel {0}",
        run.name
    ));
    Ok(ExitCode::SUCCESS)
}

fn described(args: &Train, recipe: &Recipe) -> Result<Run, Fault> {
    let query = args.selectors.query()?;
    if recipe.pairs == Some(true) && (query.cloud.min.is_some() || query.cloud.max.is_some()) {
        let what = format!(
            "--min-cloud or --max-cloud does not go with {}",
            args.recipe
        );
        return Err(Fault::new(FaultKind::Usage, what)
            .because("it would leave out the cloudy splits or the clear ones")
            .try_("--cloudy 20 --clear 5"));
    }
    let paired = paired(args, recipe)?;
    let query = Query { paired, ..query };
    let mut default = recipe.hyper.clone();
    if args.recipe.starts_with(PROGRAM) {
        // It answers the chips that it may choose by, and no others.
        default.test = 0.0;
    }
    let hyper = Hyper {
        epochs: args.epochs.unwrap_or(default.epochs),
        batch: args.batch.unwrap_or(default.batch),
        patience: args.patience.unwrap_or(default.patience),
        chip_px: args.chip.unwrap_or(default.chip_px),
        threads: args.threads.unwrap_or(default.threads),
        ..default
    };
    let hyper = lesson::changed(hyper, &args.rate, &args.held);
    lesson::check(&hyper)?;
    let name = args.name.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        format!("{}-{now}", args.recipe.replace(|c| !is_plain(c), "-"))
    });
    if !earth::split::collection::is_name(&name) {
        return Err(
            Fault::new(FaultKind::Usage, format!("--name: '{name}' is no name"))
                .because("names have 1..=120 letters, digits, '-', '_', '.'"),
        );
    }
    let run = Run {
        packing: match args.mode {
            ModeArg::Sequential => Packing::Sequential,
            ModeArg::Packed => Packing::Packed,
        },
        hyper,
        seed: args.seed,
        transfer: args.heirs.wish()?,
        ..Run::new(name, args.recipe.as_str(), query)
    };
    run.check()?;
    Ok(run)
}

/// Returns what makes a pair, where the command says it; refuses that of a recipe without pairs.
fn paired(args: &Train, recipe: &Recipe) -> Result<Option<Paired>, Fault> {
    let rule = args.pairs.rule()?;
    if rule.is_some() && recipe.pairs == Some(false) {
        let what = "--cloudy, --clear and --within are for recipes that learn from pairs";
        return Err(Fault::new(FaultKind::Usage, what)
            .because(format!("{} takes each split by itself", args.recipe))
            .try_("--max-cloud, to leave out cloudy splits"));
    }
    Ok(rule.map(|rule| rule.asked()))
}

fn print_plan(screen: &Screen, run: &Run, plan: &Plan) -> ExitCode {
    if screen.is_json() {
        screen.json(plan);
    } else {
        let nodes: Vec<_> = plan
            .jobs_by_node
            .iter()
            .map(|(id, n)| format!("{} {n}", short(id)))
            .collect();
        line(&format!(
            "{}: {} models from {} splits on {} nodes ({}), moves {} of imagery; nothing started",
            run.recipe,
            plan.jobs,
            plan.splits,
            plan.jobs_by_node.len(),
            nodes.join(", "),
            bytes(plan.bytes_moved),
        ));
        if let Some(inheritance) = &plan.inheritance {
            heirs::show(inheritance);
            screen.note(heirs::told(inheritance));
        }
    }
    if !plan.complete {
        screen.note("partial: some slots have no live owner; their cells are not in the plan");
        return ExitCode::from(FaultKind::Partial.exit_code());
    }
    ExitCode::from(if plan.jobs > 0 {
        0
    } else {
        FaultKind::Nothing.exit_code()
    })
}

/// Returns the median validation MSE beside those of the baselines.
pub(crate) fn scores(view: &RunView) -> String {
    let metrics: Vec<_> = view.jobs.iter().filter_map(|j| j.metrics).collect();
    if metrics.is_empty() {
        return String::new();
    }
    let mended = metrics.iter().filter_map(|m| m.map.zip(m.input));
    let mended: Vec<_> = mended.collect();
    let test: Vec<_> = metrics.iter().filter_map(|m| m.test).collect();
    if !mended.is_empty() {
        let psnr = median(test.iter().filter_map(|test| test.psnr));
        let test = match test.len() {
            0 => String::new(),
            _ => format!(", test PSNR {psnr:.2} dB"),
        };
        return beside_input(&mended) + &test;
    }
    let net = median(metrics.iter().map(|m| m.val_mse));
    let mean = median(metrics.iter().map(|m| m.mean_mse));
    let linear = median(metrics.iter().map(|m| m.linear_mse));
    let test = match test.len() {
        0 => String::new(),
        _ => format!(", test MSE {:.5}", median(test.iter().map(|test| test.mse))),
    };
    format!("median val MSE {net:.5} (mean {mean:.5}, linear {linear:.5}){test}")
}

/// Returns the median scores of mended images beside those of the images as they were.
fn beside_input(scores: &[(MapMetrics, InputMetrics)]) -> String {
    let of = |pick: fn(&(MapMetrics, InputMetrics)) -> Option<f64>| {
        median(scores.iter().filter_map(pick))
    };
    let [psnr, ssim] = [of(|s| s.0.val_psnr), of(|s| s.0.val_ssim)];
    let [input_psnr, input_ssim] = [of(|s| s.1.psnr), of(|s| s.1.ssim)];
    format!(
        "median val PSNR {psnr:.2} dB (cloudy input {input_psnr:.2}), SSIM {ssim:.4} \
         (cloudy input {input_ssim:.4})"
    )
}

/// Tells of jobs that other nodes did than those that planned them.
pub(crate) fn moved(view: &RunView) -> Option<String> {
    let (jobs, shipped) = view.moved();
    (jobs > 0).then(|| {
        let many = if jobs == 1 { "" } else { "s" };
        format!(
            "{jobs} job{many} moved to idle nodes that hold the same imagery; {} travelled",
            bytes(shipped)
        )
    })
}

/// Returns the median of some numbers, 0 for none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Prints how a finished run ended; so many of its models were deleted since.
fn summary(screen: &Screen, view: &RunView, deleted: usize) -> ExitCode {
    let count = |s: JobState| view.jobs.iter().filter(|j| j.state == s).count();
    let lost = count(JobState::Quarantined) + count(JobState::Cancelled);
    if screen.is_json() {
        screen.json(view);
    } else {
        let name = &view.run.name;
        line(&format!(
            "{name}: {} models  {}",
            count(JobState::Done).saturating_sub(deleted),
            scores(view)
        ));
    }
    if let Some(moved) = moved(view) {
        screen.note(moved);
    }
    if lost > 0 {
        screen.note(lost::counted(view));
    }
    if deleted > 0 {
        screen.note(lost::unlearned(view, deleted));
    }
    for told in lost::told(view) {
        screen.note(told);
    }
    if let Some(told) = heirs::started(view) {
        screen.note(told);
    }
    if count(JobState::Done) > deleted {
        screen.note(format!("next: glebe model list --run {}", view.run.name));
    }
    ExitCode::from(lost::code(view, deleted))
}
