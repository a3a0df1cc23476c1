//! `glebe doctor`: what works on this machine, and what mends the rest.
//!
//! *Invariants*: every failure names its fix; nothing is changed; exit 0 only when nothing failed.
//!
//! *Not here*: the health of a cluster's data (`cluster verify`).

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use wire::fault::Fault;

use crate::Done;
use crate::print::line;
use crate::session::Session;
use crate::worker;

/// Drivers that ingest needs.
const DRIVERS: [(&str, &str); 3] = [
    ("GTiff", "GeoTIFF"),
    ("JP2OpenJPEG", "Sentinel-2 JPEG 2000"),
    ("HDF4", "MODIS"),
];

/// How one check ended.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    said: String,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, said: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            said: said.into(),
            fix: None,
        }
    }

    fn failed(name: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            ok: false,
            said: said.into(),
            fix: Some(fix.into()),
        }
    }
}

/// What `glebe-ingest probe` says.
#[derive(Debug, Deserialize)]
struct Gdal {
    gdal: String,
    drivers: BTreeMap<String, bool>,
}

/// What `glebe-trainer probe` says.
#[derive(Debug, Deserialize)]
struct Torch {
    libtorch: String,
    cuda: bool,
    #[serde(rename = "cuda_devices")]
    devices: i64,
}

pub(crate) async fn run(session: &Session) -> Done {
    let mut checks = gdal().await;
    checks.extend(torch().await);
    checks.push(disk(session));
    checks.extend(ports(session));
    checks.extend(peers(session).await);
    if session.screen.is_json() {
        session.screen.json(&checks);
    } else {
        for check in &checks {
            line(&format!(
                "{}  {:<14} {}",
                if check.ok { "ok  " } else { "FAIL" },
                check.name,
                check.said
            ));
            if let Some(fix) = &check.fix {
                line(&format!("      try: {fix}"));
            }
        }
    }
    Ok(ExitCode::from(u8::from(checks.iter().any(|c| !c.ok))))
}

async fn probe<T: for<'de> Deserialize<'de>>(name: &str) -> Result<T, String> {
    let mut command = worker::command(name).map_err(|f| f.what)?;
    let ended = command
        .arg("probe")
        .output()
        .await
        .map_err(|e| e.to_string())?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!(
            "{name}: {}",
            said.lines().next().unwrap_or("ended without a word")
        ));
    }
    serde_json::from_slice(&ended.stdout).map_err(|e| format!("{name}: {e}"))
}

async fn gdal() -> Vec<Check> {
    let found: Gdal = match probe("glebe-ingest").await {
        Ok(found) => found,
        Err(why) => return vec![Check::failed("GDAL", why, "cargo xtask setup, cargo build")],
    };
    let mut checks = vec![Check::ok("GDAL", found.gdal)];
    for (driver, what) in DRIVERS {
        checks.push(if found.drivers.get(driver) == Some(&true) {
            Check::ok("GDAL driver", format!("{driver} ({what})"))
        } else {
            let said = format!("{driver} is missing: {what} cannot be read");
            Check::failed(
                "GDAL driver",
                said,
                "apt-get install libgdal-dev, then rebuild",
            )
        });
    }
    checks
}

async fn torch() -> Vec<Check> {
    match probe::<Torch>("glebe-trainer").await {
        Ok(found) => {
            let gpu = if found.cuda {
                format!("{} CUDA devices", found.devices)
            } else {
                "none that libtorch can use; training runs on the CPU".to_owned()
            };
            vec![Check::ok("libtorch", found.libtorch), Check::ok("GPU", gpu)]
        }
        Err(why) => vec![Check::failed(
            "libtorch",
            why,
            "cargo xtask setup, cargo build",
        )],
    }
}

/// Free space below which ingest soon ends: about one Sentinel-2 scene of splits.
const FREE_BYTES_MIN: u64 = 2_000_000_000;

fn disk(session: &Session) -> Check {
    let data = &session.settings.data.value;
    let existing = data.ancestors().find(|p| p.exists());
    let folder = existing
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(".".as_ref());
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize;
            let said = format!("{} free for {}", crate::print::bytes(free), data.display());
            if free < FREE_BYTES_MIN {
                Check::failed("disk", said, "--data on a larger disk")
            } else {
                Check::ok("disk", said)
            }
        }
        Err(e) => Check::failed(
            "disk",
            format!("{}: {e}", folder.display()),
            "--data elsewhere",
        ),
    }
}

/// Checks that the default ports are free, where a node would be started here.
fn ports(session: &Session) -> Vec<Check> {
    if session.settings.cluster.value.is_some() {
        return Vec::new();
    }
    let check = |(name, port): (&'static str, u16)| match std::net::TcpListener::bind((
        std::net::Ipv4Addr::LOCALHOST,
        port,
    )) {
        Ok(_) => Check::ok(name, format!("port {port} is free")),
        Err(e) => {
            let fix = "glebe up --listen 127.0.0.1:0 --http 127.0.0.1:0, or end what holds it";
            Check::failed(name, format!("port {port}: {e}"), fix)
        }
    };
    [("p2p port", 7400), ("http port", 7480)].map(check).into()
}

async fn peers(session: &Session) -> Vec<Check> {
    let Some(url) = &session.settings.cluster.value else {
        let data = session.settings.data.value.display();
        return vec![Check::ok(
            "cluster",
            format!("none configured: the store in {data} is used"),
        )];
    };
    let asked = async { session.client().await?.cluster().await };
    let view = match asked.await {
        Ok(view) => view,
        Err(Fault { what, .. }) => {
            let fix = format!("glebe up on that host, or unset {url}");
            return vec![Check::failed("cluster", what, fix)];
        }
    };
    let state = |node: wire::cluster::NodeView| {
        let said = format!("{} {} {:?}", node.id, node.http, node.state).to_lowercase();
        match node.state {
            wire::cluster::NodeState::Up => Check::ok("peer", said),
            _ => Check::failed("peer", said, "start it again with glebe up, same --data"),
        }
    };
    view.nodes.into_iter().map(state).collect()
}
