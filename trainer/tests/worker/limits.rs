//! Workers whose memory is bounded by the kernel: what does not fit is learned in parts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tch::Device;
use trainer::diary::Diary;
use trainer::job::{Setting, learn_from};
use trainer::recipe::Recipe as _;
use trainer::recipe::ndmi_unet::NdmiUnet;
use trainer::resident;
use trainer::stop::Stop;
use wire::run::{Hyper, Lease};

use crate::node::{Node, Temper};
use crate::packed::configs;
use crate::world::{Scene, folder, lease_of, quick};

/// Chips of a batch: most of what a step holds.
const BATCH: u32 = 4_096;

/// Dates whose chips fill one.
const DATES: u64 = 12;

/// Chips of a date.
const CHIPS_A_DATE: u32 = 600;

/// How often a node lends a job whose worker dies.
const ATTEMPTS: usize = 3;

/// Has a worker take its bound for another than it is: what is told of a step would keep it alive.
const DECEIVED: [&str; 2] = ["--memory-mib", "65536"];

/// A control group of this test's own, in either version; it goes with the value.
struct Group {
    folder: PathBuf,
    /// Files of the limit and of the most that was held.
    limit: &'static str,
    peak: &'static str,
}

impl Group {
    /// Makes one, where this machine lets us.
    fn new(name: &str) -> Option<Self> {
        let roots = [
            ("/sys/fs/cgroup", "memory.max", "memory.peak"),
            (
                "/sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.max_usage_in_bytes",
            ),
        ];
        roots.into_iter().find_map(|(root, limit, peak)| {
            let folder = Path::new(root).join(format!("glebe-{name}-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let group = Self {
                folder,
                limit,
                peak,
            };
            group.folder.join(peak).exists().then_some(group)
        })
    }

    fn bound(&self, bytes: u64) {
        fs::write(self.folder.join(self.limit), bytes.to_string()).expect("a limit");
    }

    fn peak(&self) -> u64 {
        let told = fs::read_to_string(self.folder.join(self.peak)).expect("a peak");
        told.trim().parse().expect("a number")
    }

    /// Runs a worker in it, told so; returns how it ended and what it said.
    fn work(&self, url: &str, (said, words): (&Path, &[&str])) -> (ExitStatus, String) {
        let into = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        let status = Command::new("sh")
            .args(["-c", into])
            .arg(&self.folder)
            .arg(env!("CARGO_BIN_EXE_glebe-trainer"))
            .args(["work", "--checkpoint-s", "0", "--node", url])
            .args(words)
            .stdout(Stdio::null())
            .stderr(File::create(said).expect("a file"))
            .status();
        let said = fs::read_to_string(said).expect("words");
        (status.expect("it starts"), said)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}

/// A job of so many dates whose steps hold much, below a folder of its own.
fn job(path: &Path, dates: u64) -> Lease {
    let splits = (1..=dates).map(|date| Scene::moist(&format!("d{date}"), date).write(path));
    let hyper = Hyper {
        epochs: 1,
        batch: BATCH,
        ..quick()
    };
    Lease {
        checkpoint: Some(path.join("spring+gcpvj")),
        ..lease_of("ndmi-unet", splits.collect(), hyper)
    }
}

/// Learns in a group without a limit, in parts of so many chips; returns the weights' hash and the
/// most that was held.
fn unbound(path: &Path, part: u32) -> Option<(String, u64)> {
    let group = Group::new(&format!("free{part}"))?;
    let lease = job(path, DATES);
    // As a worker leaves it that was killed for another reason.
    let note = format!("GLEBENOTE 1 {part} {}\n", u64::MAX);
    fs::write(path.join("spring+gcpvj.note"), note).expect("a note");
    let node = Node::lending(vec![lease], Temper::Kind);
    let (ended, said) = group.work(&node.url, (&path.join("said"), &[]));
    assert!(ended.success(), "{said}");
    assert!(!path.join("spring+gcpvj.note").exists(), "an orderly end");
    let config = &configs(&node)["gcpvj"];
    let hash = config["weights_blake3"].as_str().expect("a hash");
    Some((hash.to_owned(), group.peak()))
}

#[test]
fn a_worker_that_the_kernel_killed_for_want_of_memory_is_followed_by_one_that_needs_less() {
    let (_keep, path) = folder();
    let place = |name: &str| {
        let path = path.join(name);
        fs::create_dir(&path).expect("a folder");
        path
    };
    let Some((whole, full)) = unbound(&place("whole"), BATCH) else {
        eprintln!("SKIPPED: no control group can be made here");
        return;
    };
    let (halves, half) = unbound(&place("half"), BATCH / 2).expect("a group");
    assert!(
        full > half + (200 << 20),
        "{full} {half}: a step holds little"
    );
    let bound = place("bound");
    let mut lease = job(&bound, DATES);
    let group = Group::new("bound").expect("a group");
    group.bound(u64::midpoint(full, half));
    let first = Node::lending(vec![lease.clone()], Temper::Kind);
    let (ended, said) = group.work(&first.url, (&bound.join("first"), &DECEIVED));
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
    assert_eq!(signal, Some(9), "{said}");
    lease.token += 1;
    let second = Node::lending(vec![lease], Temper::Kind);
    let (ended, said) = group.work(&second.url, (&bound.join("second"), &DECEIVED));
    assert!(ended.success(), "{said}");
    let told = "was killed for want of memory while it looked at 4096 chips at a time: goes on \
                with 2048, in batches of 4096 as before";
    assert!(said.contains(told), "{said}");
    let config = &configs(&second)["gcpvj"];
    assert_eq!(config["part_chips"], BATCH / 2);
    assert_ne!(
        config["weights_blake3"], whole,
        "parts are rounded otherwise"
    );
    assert_ne!(halves, whole);
}

/// Has workers do a job one after the other in a group with a limit until one ends well, as often
/// as a node lends it; returns what each said, and the model's config if there is one.
fn attempts(group: &Group, path: &Path, words: &[&str]) -> (Vec<String>, Option<Value>) {
    let mut lease = job(path, DATES);
    let mut all = Vec::new();
    for attempt in 0..ATTEMPTS {
        lease.token += 1;
        let node = Node::lending(vec![lease.clone()], Temper::Kind);
        let place = path.join(format!("said{attempt}"));
        let (ended, said) = group.work(&node.url, (&place, words));
        all.push(said);
        if ended.success() {
            return (all, configs(&node).remove("gcpvj"));
        }
    }
    (all, None)
}

#[test]
fn a_job_that_needs_a_sixteenth_of_its_batch_is_done_before_it_is_given_up() {
    const PART: u32 = BATCH / 16;
    let (_keep, path) = folder();
    let place = |name: &str| {
        let path = path.join(name);
        fs::create_dir(&path).expect("a folder");
        path
    };
    let Some((_, fits)) = unbound(&place("fits"), PART) else {
        eprintln!("SKIPPED: no control group can be made here");
        return;
    };
    let group = Group::new("sixteenth").expect("a group");
    group.bound(fits + (16 << 20));
    let (said, model) = attempts(&group, &place("deceived"), &DECEIVED);
    assert!(model.is_none(), "there is room for more: {said:?}");
    let (said, model) = attempts(&group, &place("told"), &[]);
    eprintln!("{} MiB hold a sixteenth: {}", fits >> 20, said.concat());
    assert!(said[0].contains(": begins with "), "{said:?}");
    let model = model.expect("a model before it is given up");
    let part = model["part_chips"].as_u64().expect("parts");
    assert!(part <= u64::from(BATCH / 8), "{part}");
}

fn setting(bytes_max: Option<u64>) -> Setting {
    Setting {
        device: Device::Cpu,
        stop: Stop::default(),
        diary: Diary::default(),
        checkpoint_every: Duration::from_hours(1),
        pins: None,
        bytes_max,
        module: None,
    }
}

#[test]
fn a_job_that_is_told_to_need_more_than_there_may_be_begins_with_less_and_says_so() {
    let (_keep, path) = folder();
    let lease = Lease {
        checkpoint: None,
        ..job(&path, 4)
    };
    let needs = NdmiUnet.describe(16).needs.expect("ours");
    let held = resident::bytes().expect("Linux");
    let bound = setting(Some(held + needs.of_step(BATCH / 32) + (64 << 20)));
    let model = learn_from(&lease, None, &bound).expect("a model");
    let part = model.config.part_chips.expect("parts");
    let said = format!("{:?}", bound.diary.take());
    assert!(said.contains("chips is told to take "), "{said}");
    assert!(
        part <= model.config.metrics.chips_train / 4,
        "{part}: {said}"
    );
    let enough = setting(Some(needs.of_step(BATCH) + held));
    let whole = learn_from(&lease, None, &enough).expect("a model").config;
    assert_eq!(whole.part_chips, None);
    let free = learn_from(&lease, None, &setting(None)).expect("a model");
    assert_eq!(whole.weights_blake3, free.config.weights_blake3);
    assert_ne!(whole.weights_blake3, model.config.weights_blake3);
}

#[test]
fn memory_that_is_nearly_used_up_halves_what_is_looked_at_before_it_runs_out() {
    let (_keep, path) = folder();
    let lease = Lease {
        checkpoint: None,
        ..job(&path, 4)
    };
    let wide = learn_from(&lease, None, &setting(Some(1 << 50))).expect("a model");
    assert_eq!(wide.config.part_chips, None);
    // No more is told of a step than there may be; libtorch and the chips come on top of it.
    let needs = NdmiUnet.describe(16).needs.expect("ours");
    let near = setting(Some(needs.of_step(4 * CHIPS_A_DATE)));
    let mut longer = lease;
    longer.run.hyper.epochs = 3;
    longer.run.hyper.validation = 0.1;
    let model = learn_from(&longer, None, &near).expect("a model");
    let part = model.config.part_chips.expect("parts");
    assert!(part <= 1_088, "{part}");
    let said = format!("{:?}", near.diary.take());
    assert!(said.contains("memory is nearly used up ("), "{said}");
    assert!(said.contains("chips at a time, in batches of"), "{said}");
}
