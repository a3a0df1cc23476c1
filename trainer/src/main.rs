//! `glebe-trainer`: the worker that learns, publishes and applies models.
//!
//! *Invariants*: data on stdout, notes on stderr; exit codes as in `wire::fault`; SIGTERM and
//! Ctrl-C end it without a half-published model.
//!
//! *Not here*: the daemon that lends it jobs (node), the command line users meet (cli).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tch::Device;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use trainer::checkpoint;
use trainer::chips::pins::{self, Pins};
use trainer::infer::regions::Kin;
use trainer::infer::{self, PredictOptions};
use trainer::log::{chain, parted, say};
use trainer::probe;
use trainer::program;
use trainer::recipe;
use trainer::recipe::describe::{Band, Description, Layer, parameters};
use trainer::recipe::{Recipe as _, Task as _};
use trainer::work::pack::Budget;
use trainer::work::{self, WorkOptions, gauge};
use wire::fault::{Fault, FaultKind};

/// Side of the chips that `describe` tells sizes for: the default of runs.
const DESCRIBED_CHIP_PX: u32 = 32;

/// Learns, publishes and applies models where the imagery lies.
#[derive(Debug, Parser)]
#[command(name = "glebe-trainer", version)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lease jobs from a node until none is left.
    Work(WorkArgs),
    /// Apply models to the splits of a scene and write a map.
    Predict(PredictArgs),
    /// Tell what a recipe learns, layer by layer.
    Describe(DescribeArgs),
    /// Tell what this binary computes with, as JSON.
    Probe,
}

#[derive(Debug, Args)]
struct WorkArgs {
    /// Address of the node: http://HOST:PORT or unix:PATH.
    #[arg(long)]
    node: String,
    /// Work for this run alone.
    #[arg(long)]
    run: Option<String>,
    /// This worker's own name, for the node's logs.
    #[arg(long)]
    name: Option<String>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = Where::Cpu, env = "GLEBE_DEVICE")]
    device: Where,
    /// Seconds that an unreachable node is asked again before the worker leaves.
    #[arg(long, default_value_t = work::UNREACHABLE_S)]
    unreachable_s: u64,
    /// Least seconds between two checkpoints of a job; 0 writes one after each batch.
    #[arg(long, env = "GLEBE_CHECKPOINT_S", default_value_t = checkpoint::EVERY.as_secs())]
    checkpoint_s: u64,
    /// Mebibytes that jobs may take together, those of all workers [default: most of what is free].
    #[arg(long, env = "GLEBE_TRAIN_MEMORY_MIB")]
    memory_mib: Option<u64>,
    /// Cores that jobs of a packed run may take together, those of all workers [default: all].
    #[arg(long, env = "GLEBE_TRAIN_CORES")]
    cores: Option<u32>,
    /// Folder where chips stay for the next job on the same splits [default: nowhere].
    #[arg(long, value_name = "DIR")]
    chips: Option<PathBuf>,
    /// Most mebibytes of chips in that folder; 0 leaves none there.
    #[arg(long, env = "GLEBE_CHIPS_MIB", default_value_t = pins::MEBIBYTES)]
    chips_mib: u64,
    /// Workers that share the machine, its memory and its cores, or as much as is named of them.
    #[arg(long, default_value_t = 1)]
    workers: u32,
}

#[derive(Debug, Args)]
struct PredictArgs {
    /// Model folder; may be repeated, one a region.
    #[arg(long = "model", required = true)]
    models: Vec<PathBuf>,
    /// Folder of split folders, as `glebe-ingest cut` writes them.
    #[arg(long)]
    splits: PathBuf,
    /// The map: a GeoTIFF of 32-bit floats.
    #[arg(short = 'O', long)]
    out: PathBuf,
    /// Step between windows in pixels (default: half a chip).
    #[arg(long)]
    stride: Option<u32>,
    /// Pixels on either side of a border over which neighbours' models are blended; 0 for a hard
    /// border (default: the side of a chip).
    #[arg(long)]
    margin: Option<u32>,
    /// JSON of what is known of the models' run: {"donors": {CELL: DONOR}}. Without it a single
    /// model answers for cells of elsewhere too.
    #[arg(long)]
    kin: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = Where::Cpu, env = "GLEBE_DEVICE")]
    device: Where,
}

#[derive(Debug, Args)]
struct DescribeArgs {
    /// The recipe, such as ndvi-cnn.
    recipe: String,
    /// Side of the chips in pixels.
    #[arg(long, default_value_t = DESCRIBED_CHIP_PX)]
    chip_px: u32,
    /// Chips of a batch, for the memory that a step takes [default: the recipe's own].
    #[arg(long)]
    batch: Option<u32>,
    /// What is learned with a user's module, as JSON; with `--file`.
    #[arg(long, requires = "file")]
    module: Option<String>,
    /// The module's file.
    #[arg(long, requires = "module")]
    file: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The CPU: the same seed gives the same weights.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn main() -> ExitCode {
    let done = match Command::parse().verb {
        Verb::Work(args) => serve(&args),
        Verb::Predict(args) => predict(args),
        Verb::Describe(args) => describe(&args),
        Verb::Probe => json(&probe::probe()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            complain(&fault);
            ExitCode::from(fault.kind.exit_code())
        }
    }
}

/// Works until nothing is left, a signal comes or the node has gone.
fn serve(args: &WorkArgs) -> Result<(), Fault> {
    let options = WorkOptions {
        node: args.node.clone(),
        run: args.run.clone(),
        name: args
            .name
            .clone()
            .unwrap_or_else(|| format!("trainer-{}", std::process::id())),
        device: device(args.device)?,
        unreachable: Duration::from_secs(args.unreachable_s),
        checkpoint_every: Duration::from_secs(args.checkpoint_s),
        budget: budget(args),
        pins: pins(args),
    };
    let internal = |what: &str, e: std::io::Error| {
        Fault::new(FaultKind::Internal, what.to_owned()).because(e.to_string())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| internal("no threads can be started", e))?;
    runtime.block_on(async {
        let mut term =
            signal(SignalKind::terminate()).map_err(|e| internal("signals cannot be heard", e))?;
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                heard = tokio::signal::ctrl_c() => heard.unwrap_or_default(),
            }
            say("stopping");
            stop.send_replace(true);
            std::future::pending::<()>().await;
        });
        let jobs = work::work(options, stopping).await?;
        say(&format!("{jobs} jobs done"));
        Ok(())
    })
}

/// Returns where chips stay for the next job.
fn pins(args: &WorkArgs) -> Option<Pins> {
    Some(Pins {
        folder: args.chips.clone()?,
        bytes_max: args.chips_mib << 20,
    })
}

/// Returns what jobs of this worker may take: its share of what is there, or of what is named.
fn budget(args: &WorkArgs) -> Budget {
    let workers = args.workers.max(1);
    let all = || std::thread::available_parallelism().map_or(1.0, |all| usize::from(all) as f64);
    let named = args.memory_mib.map(|mebibytes| mebibytes << 20);
    Budget {
        cores: (args.cores.map_or_else(all, f64::from) / f64::from(workers)).max(1.0),
        bytes: named
            .map(|bytes| bytes / u64::from(workers))
            .or_else(|| gauge::free_bytes(workers)),
    }
}

fn predict(args: PredictArgs) -> Result<(), Fault> {
    let options = PredictOptions {
        device: device(args.device)?,
        models: args.models,
        splits: args.splits,
        out: args.out,
        stride: args.stride,
        margin: args.margin,
        kin: args.kin.as_deref().map(kin).transpose()?,
    };
    json(&infer::predict(&options)?)
}

/// Reads what is known of a run.
fn kin(path: &Path) -> Result<Kin, Fault> {
    let wrong = |reason: String| {
        let what = format!("{} tells nothing of a run", path.display());
        Fault::new(FaultKind::Usage, what).because(reason)
    };
    let text = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))
}

fn describe(args: &DescribeArgs) -> Result<(), Fault> {
    let usage = |reason: String| Fault::new(FaultKind::Usage, reason);
    let side = args.chip_px;
    if let (Some(wish), Some(file)) = (&args.module, &args.file) {
        let told = module_told(args, wish, file)?;
        return match args.output {
            Format::Json => json(&told),
            Format::Table => print(&table(&told, args.batch)),
        };
    }
    let known = match args.recipe.strip_prefix(program::PREFIX) {
        Some(name) => program::find(name)
            .map(|p| (p.name(), p.chip_px_step(), p.describe(i64::from(side))))
            .map_err(|e| Fault::new(FaultKind::Refused, chain(&e)))?,
        None => recipe::parse(&args.recipe)
            .map(|r| (r.name(), r.chip_px_step(), r.describe(i64::from(side))))
            .map_err(|e| usage(e.to_string()).try_("glebe train ndvi-cnn --describe"))?,
    };
    let (name, step, told) = known;
    if side == 0 || !side.is_multiple_of(step) {
        let what = format!("a chip's side is {side} pixels");
        let fault = usage(what).because(format!("{name} takes multiples of {step}"));
        let next = side.next_multiple_of(step).max(step);
        return Err(fault.try_(format!("a side of {next} pixels")));
    }
    match args.output {
        Format::Json => json(&told),
        Format::Table => print(&table(&told, args.batch)),
    }
}

/// Tries a user's module and describes it.
fn module_told(args: &DescribeArgs, wish: &str, file: &Path) -> Result<Description, Fault> {
    let wrong = |kind, reason: String| {
        let what = format!("{} cannot be learned with", file.display());
        let (because, next) = parted(reason);
        let next = next.unwrap_or_else(|| "glebe train --help".to_owned());
        Fault::new(kind, what).because(because).try_(next)
    };
    let wish: wire::module::Module =
        serde_json::from_str(wish).map_err(|e| wrong(FaultKind::Usage, e.to_string()))?;
    let bytes = std::fs::read(file).map_err(|e| wrong(FaultKind::Usage, e.to_string()))?;
    let ready = trainer::module::ready((&args.recipe, &wish), Some(&bytes), args.chip_px);
    let module = ready.map_err(|e| wrong(FaultKind::Data, chain(&e)))?;
    Ok(module.describe(i64::from(args.chip_px)))
}

/// Writes a description for people.
fn table(told: &Description, batch: Option<u32>) -> String {
    let hyper = &told.hyper;
    let batch = batch.unwrap_or(hyper.batch);
    let mut head = vec![
        format!("{}: {}", told.recipe, told.task),
        format!("source      {}", told.source),
        format!("inputs      {}", bands(&told.inputs)),
        format!("label from  {}", bands(&told.label_bands)),
        format!("label       {}", told.label),
        format!("normalised  {}", told.normalisation),
        format!("loss        {}", told.loss),
        format!(
            "defaults    {} epochs, batch {}, learning rate {}, patience {}, chips of {} pixels",
            hyper.epochs, hyper.batch, hyper.learning_rate, hyper.patience, hyper.chip_px,
        ),
        format!("parameters  {}", told.parameters),
    ];
    head.extend(told.needs.map(|needs| {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "memory      about {} MiB a step of {batch} chips of {} pixels, beside libtorch itself",
            mib(needs.of_step(batch)),
            needs.chip_px,
        )
    }));
    head.push(layers("layer", &told.layers));
    if !told.rival.is_empty() {
        let count = parameters(&told.rival);
        head.push(format!(
            "\ndiscriminator: {count} parameters of a network that it learns to fool, and that \
             answers nothing"
        ));
        head.push(layers("block", &told.rival));
    }
    head.join("\n")
}

/// Writes a table of layers below an empty line.
fn layers(title: &str, all: &[Layer]) -> String {
    let mut lines = vec![format!(
        "\n{title:<8} {:<14} {:>10}  does",
        "out", "parameters"
    )];
    lines.extend(all.iter().map(|layer| {
        let out = format!("{:?}", layer.out);
        let count = parameters(std::slice::from_ref(layer));
        format!("{:<8} {out:<14} {count:>10}  {}", layer.name, layer.does)
    }));
    lines.join("\n")
}

/// Tells bands with the common names that will do.
fn bands(bands: &[Band]) -> String {
    let tell = |b: &Band| match b.commons {
        [only] if *only == b.role => b.role.to_owned(),
        all => format!("{} ({})", b.role, all.join(" or ")),
    };
    bands.iter().map(tell).collect::<Vec<_>>().join(", ")
}

/// Returns the device, or why there is none.
fn device(place: Where) -> Result<Device, Fault> {
    match place {
        Where::Cpu => Ok(Device::Cpu),
        Where::Cuda if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
        Where::Cuda => Err(Fault::new(FaultKind::Usage, "there is no CUDA device")
            .because("libtorch was built without CUDA or finds no device")
            .try_("--device cpu, or glebe doctor")),
    }
}

/// Prints a value as JSON on one line.
fn json(value: &impl serde::Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string(value)
        .map_err(|e| Fault::new(FaultKind::Internal, "no JSON").because(e.to_string()))?;
    print(&text)
}

/// Prints a text and ends the line.
fn print(text: &str) -> Result<(), Fault> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(|e| {
        Fault::new(FaultKind::Internal, "stdout cannot be written").because(e.to_string())
    })
}

/// Prints a fault the way every glebe binary does.
fn complain(fault: &Fault) {
    let mut lines = vec![format!("error: {}", fault.what)];
    lines.extend(
        fault
            .because
            .iter()
            .map(|reason| format!("  because {reason}")),
    );
    lines.extend(fault.try_.iter().map(|step| format!("  try: {step}")));
    writeln!(std::io::stderr().lock(), "{}", lines.join("\n")).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use trainer::recipe;

    use super::{Command, Verb, budget, table};

    #[test]
    fn describing_spagan_prints_the_discriminator_too_and_other_recipes_have_none() {
        let told = |name: &str| {
            let recipe = recipe::parse(name).expect("a recipe");
            table(&recipe.describe(32), None)
        };
        let spagan = told("spagan");
        let (generator, rival) = spagan.split_once("\ndiscriminator: 98673 ").expect("both");
        assert!(
            generator.contains("\nwiden ") && !generator.contains("\nblock1 "),
            "{spagan}"
        );
        let lines: Vec<&str> = rival.lines().skip(2).collect();
        assert!(lines[0].starts_with("block    out"), "{rival}");
        let names = lines[1..].iter().map(|line| line.split(' ').next());
        let blocks = [1, 2, 3, 4, 5, 6].map(|number| format!("block{number}"));
        assert!(
            names.eq(blocks.iter().map(|name| Some(name.as_str()))),
            "{rival}"
        );
        assert!(
            lines[1].contains("[16, 16, 16]          880  cloudy image beside"),
            "{rival}"
        );
        assert!(
            lines[6].contains("[1, 4, 4]             577  3x3 convolution"),
            "{rival}"
        );
        assert!(!told("ndmi-unet").contains("discriminator"));
    }

    #[test]
    fn workers_share_what_is_named_as_they_share_what_is_there() {
        let named = |words: &[&str]| {
            let all = ["glebe-trainer", "work", "--node", "unix:s"];
            let command = Command::try_parse_from(all.iter().chain(words)).expect("words");
            let Verb::Work(args) = command.verb else {
                panic!("another verb");
            };
            budget(&args)
        };
        let both = ["--memory-mib", "1024", "--cores", "6"];
        let alone = named(&both);
        assert_eq!(alone.bytes, Some(1 << 30));
        assert!((alone.cores - 6.0).abs() < 1e-9);
        let of_three = named(&[&both[..], &["--workers", "3"]].concat());
        assert_eq!(of_three.bytes, Some((1 << 30) / 3));
        assert!((of_three.cores - 2.0).abs() < 1e-9);
        let of_many = named(&[&both[..], &["--workers", "30"]].concat());
        assert!((of_many.cores - 1.0).abs() < 1e-9, "one job is always done");
    }
}
