//! What this process takes of the machine, and what it may take, read from Linux.
//!
//! *Invariants*: what cannot be read is not known, never guessed.
//!
//! *Not here*: how many jobs that makes (`pack`).

use std::fs;
use std::time::Instant;

use super::pack::Need;
use crate::cgroup;
use crate::resident::{self, field};

/// Share of the memory that is free which jobs may take: others live on the machine, too.
const MEMORY_SHARE: f64 = 0.8;
/// Clock ticks a second in `/proc`: the same on every Linux that libtorch runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// What the process took when a job began.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    resident: Option<u64>,
    cpu_s: Option<f64>,
    start: Instant,
}

impl Gauge {
    /// Begins to measure; the job must be alone.
    pub fn start() -> Self {
        resident::forget_peak();
        Self {
            resident: resident::bytes(),
            cpu_s: cpu_s(),
            start: now(),
        }
    }

    /// Returns what was needed since; `None` if that cannot be read.
    pub fn read(&self) -> Option<Need> {
        let peak = resident::peak_bytes()?;
        let cpu = cpu_s()? - self.cpu_s?;
        Some(Need {
            bytes: peak.saturating_sub(self.resident?),
            cores: cpu / self.start.elapsed().as_secs_f64().max(1e-3),
        })
    }
}

/// Returns the bytes that jobs may take beyond what the process takes now.
pub fn free_bytes(workers: u32) -> Option<u64> {
    let machine = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let group = cgroup::room().unwrap_or(u64::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a positive number of bytes"
    )]
    let share = (machine.min(group) as f64 * MEMORY_SHARE / f64::from(workers.max(1))) as u64;
    Some(share)
}

/// Returns the seconds of CPU that all threads of the process took.
fn cpu_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process stands in brackets and may hold spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || -> Option<f64> { fields.next()?.parse().ok() };
    Some((ticks()? + ticks()?) / TICKS_A_SECOND)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver: how many jobs are done at once changes no weight"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::{Gauge, cpu_s, free_bytes};

    #[test]
    fn what_a_job_takes_is_measured() {
        let gauge = Gauge::start();
        let before = cpu_s().expect("Linux");
        let mut bytes = vec![0_u8; 64 << 20];
        let mut sum = 0_u64;
        // Two ticks of the clock that is read, and more.
        while cpu_s().expect("Linux") - before < 0.05 {
            for byte in &mut bytes {
                *byte = byte.wrapping_add(3);
            }
            sum += bytes.iter().map(|b| u64::from(*b)).sum::<u64>();
        }
        let (need, wall_s) = (gauge.read().expect("Linux"), gauge.start.elapsed());
        assert!(
            need.bytes > 48 << 20 && need.bytes < 512 << 20,
            "{need:?} {sum}"
        );
        let computed_s = need.cores * wall_s.as_secs_f64();
        assert!(computed_s >= 0.05, "{need:?} in {wall_s:?}");
    }

    #[test]
    fn workers_share_evenly_what_is_free() {
        let [all, half] = [1, 2].map(|workers| free_bytes(workers).expect("Linux"));
        let share = half as f64 / all as f64;
        assert!((0.4..0.6).contains(&share), "{half} of {all}");
    }
}
