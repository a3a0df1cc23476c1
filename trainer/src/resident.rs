//! What the system tells of this process's memory.
//!
//! *Invariants*: what cannot be read is not known, never guessed.
//!
//! *Not here*: what the machine has left (`work::gauge`), control groups (`cgroup`), what is done
//! where memory runs out (`memory`).

use std::fs;

use crate::cgroup;

/// Returns the bytes that this process holds in memory.
pub fn bytes() -> Option<u64> {
    field(&status()?, "VmRSS:")
}

/// Returns the most bytes that it held, since it began or since the peak was forgotten.
pub fn peak_bytes() -> Option<u64> {
    // The system counts what it holds now less often than it is asked here.
    let status = status()?;
    Some(field(&status, "VmHWM:")?.max(field(&status, "VmRSS:")?))
}

/// Forgets the peak, where the system lets it.
pub fn forget_peak() {
    // 5 sets the greatest resident size back; where that is not allowed it was greater before.
    drop(fs::write("/proc/self/clear_refs", "5"));
}

/// Returns how many processes were killed for want of memory so far: those of this process's
/// control group, or else of the machine.
pub fn kills() -> Option<u64> {
    cgroup::kills().or_else(|| {
        let machine = fs::read_to_string("/proc/vmstat").ok()?;
        cgroup::count(&machine, "oom_kill ")
    })
}

fn status() -> Option<String> {
    fs::read_to_string("/proc/self/status").ok()
}

/// Reads a line such as `VmRSS:  1234 kB` in bytes.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}
