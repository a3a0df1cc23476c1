//! `glebe up`: a node, until Ctrl-C or SIGTERM.
//!
//! *Invariants*: exactly one line on stdout, once it serves.
//!
//! *Not here*: the node (node).

use std::process::ExitCode;
use std::time::Duration;

use node::config::{Device, Tokens};
use node::http::TlsFiles;
use node::layout::Standing;
use node::upkeep::Pace;
use tokio::signal::unix::{SignalKind, signal};
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::Up;
use crate::print::{Screen, line};
use crate::session::Session;

/// Training workers a node runs at once unless told otherwise.
const WORKERS: u16 = 1;

pub(crate) async fn run(session: &Session, args: Up) -> Done {
    logging(&session.screen);
    close_to_others();
    let config = node::config::Config {
        data: session.settings.data.value.clone(),
        listen: args.listen,
        http: args.http,
        join: args.join,
        token_file: session.settings.token_file.value.clone(),
        advertise: args.advertise,
        tls: args
            .tls_cert
            .zip(args.tls_key)
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        tokens: if args.require_tokens {
            Tokens::Always
        } else {
            Tokens::Elsewhere
        },
        replicas: args.replicas,
        standing: Standing {
            host: args.host_label,
            zone: args.zone_label,
            weight: args.weight,
        },
        upkeep: upkeep(args.repair_every, args.scrub_rate),
        workers: args.workers.unwrap_or(WORKERS),
        chips_mib: args.chips_mib,
        device: args.device.map(Device::from),
    };
    let failed = |e: std::io::Error| {
        Fault::new(FaultKind::Internal, "cannot listen for signals").because(e.to_string())
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let running = node::daemon::start(config).await?;
    let ready = running.ready();
    line(&format!(
        "ready p2p={} http={} node={}",
        ready.p2p, ready.http, ready.node
    ));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    session.screen.note("stopping");
    running.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Returns how the node keeps its replicas whole and alike.
fn upkeep(every: Option<u32>, scrub: Option<u32>) -> Pace {
    let pace = Pace::default();
    let seconds = |s: u32| Duration::from_secs(s.into());
    let bytes = |mebibytes: u32| u64::from(mebibytes) << 20;
    Pace {
        every: every.map_or(pace.every, seconds),
        scrub_bytes_per_second: scrub.map_or(pace.scrub_bytes_per_second, bytes),
        ..pace
    }
}

/// Keeps this process's memory, and the keys in it, from core files and from other processes of
/// the same user.
fn close_to_others() {
    let closed = rustix::process::DumpableBehavior::NotDumpable;
    if let Err(error) = rustix::process::set_dumpable_behavior(closed) {
        tracing::warn!(%error, "a core file of this node would hold its keys");
    }
}

/// Logs to stderr: warnings, more with `-v`; `GLEBE_LOG` overrides. In colour where faults are.
fn logging(screen: &Screen) {
    let level = match screen.verbosity() {
        0 => "warn",
        1 => "info,libp2p=warn",
        2 => "debug,libp2p=info",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("GLEBE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(screen.colours())
        .with_writer(std::io::stderr)
        .init();
}
