//! `cargo xtask demo`: the main job end to end, on three nodes of this machine.
//!
//! *Invariants*: uses only what a user has (the `glebe` binary and its words); every process it
//! starts is ended, also when a step fails.
//!
//! *Not here*: what the steps do (the crates), setup and build (`main`).

mod nodes;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::command::{self, cargo};
use crate::say;
use crate::setup::{self, Depth};
use crate::trouble::{self, Trouble};
use crate::workspace::Workspace;

use nodes::Nodes;
use table::Summary;

/// Nodes of the demo, and replicas of each object.
const NODES: usize = 3;
const REPLICAS: &str = "2";
/// Regional models below which the demo has shown nothing.
const MODELS_MIN: usize = 12;
/// Side of a synthetic scene in 10 m pixels: nine cells of geohash 5 a region.
const SCENE_PX: &str = "1100";

/// What the demo works with.
#[derive(Debug)]
struct Demo {
    glebe: PathBuf,
    folder: PathBuf,
    summary: Summary,
}

/// Sets up, builds, and runs the demo with the user's scenes or synthetic ones.
pub(crate) fn run(workspace: &Workspace, scenes: Option<&Path>) -> trouble::Result<()> {
    setup::for_building(workspace, Depth::Quick)?;
    let mut build = cargo(workspace, &["build", "--workspace", "--bins", "--locked"]);
    command::run(
        &mut build,
        "building the binaries",
        "mend what the compiler says",
    )?;
    steps(workspace, scenes).map_err(|error| {
        let logs = workspace.root().join("target/demo");
        let remedy = format!("the nodes' logs in {}", logs.display());
        Trouble::new("the demo did not finish", format!("{error:#}"), remedy)
    })
}

fn steps(workspace: &Workspace, scenes: Option<&Path>) -> Result<()> {
    let folder = workspace.root().join("target/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("an older demo's folder cannot be removed")?;
    }
    std::fs::create_dir_all(&folder)?;
    let (glebe, summary) = (workspace.binary("glebe"), Summary::default());
    let mut demo = Demo {
        glebe,
        folder,
        summary,
    };
    let scenes = match scenes {
        Some(given) => given.canonicalize().context("--scenes is not there")?,
        None => demo.synth()?,
    };
    let nodes = demo.timed("three nodes up", |d| {
        Nodes::start(&d.glebe, &d.folder, NODES, REPLICAS)
    })?;
    demo.ingest(&nodes, &scenes)?;
    demo.questions(&nodes)?;
    demo.train(&nodes)?;
    demo.pull_and_predict(&nodes, &scenes)?;
    demo.figures(&nodes)?;
    demo.timed("nodes stopped", |_| nodes.stop())?;
    demo.summary.print();
    say::answer(format!("\nwhat it made: {}", demo.folder.display()));
    Ok(())
}

impl Demo {
    /// Runs one step and keeps its seconds.
    #[allow(
        clippy::disallowed_methods,
        reason = "a driver: the demo reports wall time"
    )]
    fn timed<T>(&mut self, name: &str, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        say::answer(format!("\n== {name}"));
        let start = Instant::now();
        let done = step(self).with_context(|| format!("the step '{name}' failed"))?;
        self.summary
            .seconds
            .push((name.to_owned(), start.elapsed().as_secs_f64()));
        Ok(done)
    }

    /// Runs a `glebe` command as shown and returns its stdout; stderr goes to the screen.
    fn glebe(&self, http: Option<&str>, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.glebe);
        if let Some(http) = http {
            command.args(["--cluster", http]);
        }
        say::answer(format!("$ glebe {}", args.join(" ")));
        command
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = command.output().context("glebe does not start")?;
        ensure!(
            output.status.success(),
            "glebe {} ended with {}",
            args.join(" "),
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    fn json(&self, http: &str, args: &[&str]) -> Result<Value> {
        let text = self.glebe(Some(http), &[args, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).context("the answer is no JSON")
    }

    fn synth(&mut self) -> Result<PathBuf> {
        self.timed("synthetic scenes", |d| {
            let args = ["synth", "--seed", "7", "--regions", "3", "--dates", "3"];
            d.glebe(
                None,
                &[&args[..], &["--size", SCENE_PX, "-O", "scenes"]].concat(),
            )?;
            Ok(d.folder.join("scenes"))
        })
    }

    fn ingest(&mut self, nodes: &Nodes, scenes: &Path) -> Result<()> {
        self.timed("ingest", |d| {
            let path = scenes.to_string_lossy();
            let report = d.json(nodes.http(0), &["ingest", &path])?;
            let scenes = report["scenes"]
                .as_array()
                .context("no scenes in the report")?;
            let sum = |key: &str| scenes.iter().filter_map(|s| s[key].as_u64()).sum::<u64>();
            d.summary.scenes = scenes.len() as u64;
            d.summary.bytes_in = sum("source_bytes");
            d.summary.splits = sum("splits");
            ensure!(d.summary.splits > 0, "no split was stored");
            Ok(())
        })
    }

    /// Asks three different questions of three different nodes.
    fn questions(&mut self, nodes: &Nodes) -> Result<()> {
        self.timed("three questions", |d| {
            let all = d.json(nodes.http(0), &["search", "--sort", "time"])?;
            let hits = all["hits"].as_array().context("no hits")?;
            let first = hits.first().context("nothing was stored")?;
            let clear = ["search", "--max-cloud", "10", "--min-coverage", "50"];
            say::answer(d.glebe(Some(nodes.http(0)), &clear)?.trim_end());
            let geocode = first["geocode"].as_str().unwrap_or_default();
            let one = ["search", "--geocode", geocode, "--exact", "--explain"];
            say::answer(d.glebe(Some(nodes.http(1)), &one)?.trim_end());
            let day = first["acquired"]
                .as_str()
                .and_then(|t| t.get(..10))
                .unwrap_or_default();
            let dated = [
                "search",
                "--datetime",
                day,
                "--sort",
                "-cloud",
                "--limit",
                "5",
            ];
            say::answer(d.glebe(Some(nodes.http(2)), &dated)?.trim_end());
            Ok(())
        })
    }

    fn train(&mut self, nodes: &Nodes) -> Result<()> {
        self.timed("train", |d| {
            let args = [
                "train",
                "ndvi-cnn",
                "--max-cloud",
                "60",
                "--name",
                "demo",
                "--wait",
            ];
            let mut command = Command::new(&d.glebe);
            say::answer(format!("$ glebe {}", args.join(" ")));
            let status = command
                .args(["--cluster", nodes.http(1)])
                .args(args)
                .current_dir(&d.folder)
                .status()?;
            // 4 says that some cells made no model (all clouded, say); the count below decides.
            ensure!(
                matches!(status.code(), Some(0 | 4)),
                "train ended with {status}"
            );
            let list = d.json(nodes.http(2), &["model", "list", "--run", "demo"])?;
            let models = list["models"].as_array().cloned().unwrap_or_default();
            if models.len() < MODELS_MIN {
                bail!("only {} models, the demo wants {MODELS_MIN}", models.len());
            }
            d.summary.models(&models);
            Ok(())
        })
    }

    fn pull_and_predict(&mut self, nodes: &Nodes, scenes: &Path) -> Result<()> {
        self.timed("pull a model and apply it", |d| {
            let list = d.json(nodes.http(0), &["model", "list", "--run", "demo"])?;
            let geocode = list["models"][0]["geocode"]
                .as_str()
                .context("no model")?
                .to_owned();
            let name = format!("demo/{geocode}");
            say::answer(
                d.glebe(
                    Some(nodes.http(0)),
                    &["model", "pull", &name, "-O", "model"],
                )?
                .trim_end(),
            );
            let scene = d.scene_of(nodes, scenes, &geocode)?;
            let scene = scene.to_string_lossy();
            say::answer(
                d.glebe(None, &["predict", "model", &scene, "-O", "ndvi-one.tif"])?
                    .trim_end(),
            );
            let all = ["predict", "demo", &scene, "-O", "ndvi.tif"];
            say::answer(d.glebe(Some(nodes.http(2)), &all)?.trim_end());
            Ok(())
        })
    }

    /// Returns the path of a scene that covers the geocode.
    fn scene_of(&self, nodes: &Nodes, scenes: &Path, geocode: &str) -> Result<PathBuf> {
        let args = [
            "search",
            "--geocode",
            geocode,
            "--exact",
            "--sort",
            "cloud",
            "--limit",
            "1",
        ];
        let found = self.json(nodes.http(0), &args)?;
        let scene = found["hits"][0]["scene"]
            .as_str()
            .context("no split in the cell")?
            .to_owned();
        let mut open = vec![scenes.to_path_buf()];
        while let Some(next) = open.pop() {
            if next
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(&scene))
            {
                return Ok(next);
            }
            if next.is_dir() && next.extension().is_none_or(|e| e != "SAFE") {
                open.extend(std::fs::read_dir(&next)?.flatten().map(|e| e.path()));
            }
        }
        bail!("scene {scene} is not below {}", scenes.display())
    }

    fn figures(&mut self, nodes: &Nodes) -> Result<()> {
        self.timed("verify and count", |d| {
            say::answer(
                d.glebe(Some(nodes.http(1)), &["cluster", "verify"])?
                    .trim_end(),
            );
            let status = d.json(nodes.http(0), &["status"])?;
            d.summary.status(&status);
            Ok(())
        })
    }
}
