//! The command line of glebe.
//!
//! *Invariants*: data on stdout, all else on stderr; every failure ends in a documented exit code;
//! neither GDAL nor libtorch is linked, so that it starts in milliseconds.
//!
//! *Not here*: anything a node does (node); every verb is a client of one.

mod args;
mod cluster;
mod compose;
mod config;
mod doctor;
mod download;
mod export;
mod forecast;
mod formats;
mod get;
mod ingest;
mod job;
mod model;
mod node_verbs;
mod pairs;
mod predict;
mod print;
mod region;
mod resplit;
mod room;
mod scenes;
mod search;
mod session;
mod simulate;
mod status;
mod steer;
mod synth;
mod token;
mod train;
mod up;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use wire::fault::{Fault, FaultKind};

use args::{Cli, RegionVerb, Verb};
use print::Screen;
use session::{Missing, Session};

/// What a verb ends with: the exit code, or what went wrong.
pub(crate) type Done = Result<ExitCode, Fault>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.verb {
        Verb::Completions { shell } => return print::completions(*shell, Cli::command()),
        Verb::Man => return print::man(Cli::command()),
        _ => {}
    }
    let settings = match config::Settings::resolve(&cli.global) {
        Ok(settings) => settings,
        Err(fault) => return print::fault(&fault, &cli.global),
    };
    if cli.global.show_origin {
        return print::origins(&settings);
    }
    if let Err(fault) = formats::check(&cli.verb, &settings.output) {
        return print::fault(&fault, &cli.global);
    }
    // A node closes itself further (`up`); its workers hold no secret.
    if !matches!(cli.verb, Verb::Up(_)) {
        worker::leave_no_core();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            let fault = Fault::new(FaultKind::Internal, "no runtime").because(e.to_string());
            return print::fault(&fault, &cli.global);
        }
    };
    let limit = cli.global.timeout;
    let screen = Screen::new(&cli.global, &settings);
    let session = Session::new(settings, screen, Missing::by(&cli.verb));
    let code = runtime.block_on(bounded(&session, cli.verb, limit));
    runtime.shutdown_timeout(std::time::Duration::from_millis(SHUTDOWN_MS_MAX));
    match code {
        Ok(code) => code,
        Err(fault) => print::fault(&fault, &cli.global),
    }
}

/// Longest wait for tasks that are still writing when the answer is out.
const SHUTDOWN_MS_MAX: u64 = 2_000;

/// Runs a verb under `--timeout` and Ctrl-C, then lets go of the store.
async fn bounded(session: &Session, verb: Verb, limit: Option<std::time::Duration>) -> Done {
    let expiry = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    // `up` ends cleanly on Ctrl-C by itself.
    let serves = matches!(verb, Verb::Up(_));
    let interrupt = async {
        let caught = tokio::signal::ctrl_c().await;
        if serves || caught.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let done = tokio::select! {
        done = dispatch(session, verb) => done,
        () = expiry => {
            session.part();
            Err(Fault::new(FaultKind::Timeout, "time ran out")
                .because("--timeout was reached")
                .try_("a greater --timeout"))
        }
        () = interrupt => {
            session.part();
            Ok(ExitCode::from(INTERRUPTED))
        }
    };
    session.close().await;
    done
}

/// Exit code after Ctrl-C: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

async fn dispatch(session: &Session, verb: Verb) -> Done {
    match verb {
        Verb::Up(args) => up::run(session, args).await,
        Verb::Ingest(args) => ingest::run(session, args).await,
        Verb::Search(args) => search::run(session, args).await,
        Verb::Get(args) => get::run(session, args).await,
        Verb::Compose(args) => compose::run(session, args).await,
        Verb::Train(args) => train::run(session, args).await,
        Verb::Predict(args) => predict::run(session, args).await,
        Verb::Status => status::run(session).await,
        Verb::Doctor => doctor::run(session).await,
        Verb::Synth(args) => synth::run(session, args).await,
        Verb::Simulate(args) => simulate::run(session, args).await,
        Verb::Node(verb) => node_verbs::node(session, verb).await,
        Verb::Collection(verb) => node_verbs::collection(session, verb).await,
        Verb::Job(verb) => job::run(session, verb).await,
        Verb::Model(verb) => model::run(session, verb).await,
        Verb::Cluster(verb) => cluster::run(session, verb).await,
        Verb::Region(RegionVerb::Groups(args)) => region::groups(session, args).await,
        Verb::Completions { .. } | Verb::Man => Ok(ExitCode::SUCCESS),
    }
}
