//! What the system tells of this process's memory.
//!
//! *Invariants*: what cannot be read is not known, never guessed.
//!
//! *Not here*: what the machine has left (`work::gauge`), what is done where memory runs out
//! (`memory`).

use std::fs;

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
/// control group, in either version, or else of the machine.
pub fn kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = groups.lines().filter_map(events);
    let machine = "/proc/vmstat".to_owned();
    files.chain([machine]).find_map(|file| {
        let told = fs::read_to_string(file).ok()?;
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?;
        line.trim().parse().ok()
    })
}

/// Returns where the kills of a control group are counted, of a line of `/proc/self/cgroup`.
fn events(line: &str) -> Option<String> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    match controllers {
        "" => Some(format!("/sys/fs/cgroup{path}/memory.events")),
        _ if controllers.split(',').any(|c| c == "memory") => {
            Some(format!("/sys/fs/cgroup/memory{path}/memory.oom_control"))
        }
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::events;

    #[test]
    fn kills_are_counted_by_the_control_group_in_either_version() {
        let place = |line| events(line).unwrap_or_default();
        assert_eq!(place("0::/"), "/sys/fs/cgroup//memory.events");
        assert_eq!(place("0::/a/b:c"), "/sys/fs/cgroup/a/b:c/memory.events");
        let first = "/sys/fs/cgroup/memory/pod/memory.oom_control";
        assert_eq!(place("4:hugetlb,memory:/pod"), first);
        assert_eq!(place("1:cpu:/pod"), "");
        assert_eq!(place("nonsense"), "");
    }
}
