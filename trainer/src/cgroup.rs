//! Control groups that this process is in, in either version: what they leave it, whom they killed.
//!
//! *Invariants*: what cannot be read is not known, never guessed; a group binds those within it, so
//! that the narrowest around this process counts.
//!
//! *Not here*: what of it jobs may take (`work::gauge`).

use std::fs;
use std::path::{Path, PathBuf};

/// What the files of a version are called.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    root: &'static str,
    limit: &'static str,
    used: &'static str,
    /// Counts of pages of files, which the kernel takes back before it kills, of the group with all
    /// below it.
    cached: [&'static str; 2],
    kills: &'static str,
}

const FIRST: Version = Version {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: ["total_inactive_file ", "total_active_file "],
    kills: "memory.oom_control",
};
const SECOND: Version = Version {
    root: "/sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    cached: ["inactive_file ", "active_file "],
    kills: "memory.events",
};

/// A group that accounts for memory.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    version: &'static Version,
    folder: PathBuf,
}

/// Returns the bytes that the groups around this process leave it; `None` if none of them tells.
pub fn room() -> Option<u64> {
    let own = own();
    let around = own.iter().flat_map(Group::around);
    around.filter_map(|group| group.room()).min()
}

/// Returns how many processes of this process's group were killed for want of memory so far.
pub fn kills() -> Option<u64> {
    own().iter().find_map(|group| {
        let told = fs::read_to_string(group.folder.join(group.version.kills)).ok()?;
        count(&told, "oom_kill ")
    })
}

/// Reads a line such as `oom_kill 3`.
pub fn count(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

fn own() -> Vec<Group> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups.lines().filter_map(Group::of).collect()
}

impl Group {
    /// Reads a line of `/proc/self/cgroup`.
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let version = match controllers {
            "" => &SECOND,
            _ if controllers.split(',').any(|c| c == "memory") => &FIRST,
            _ => return None,
        };
        let folder = Path::new(version.root).join(path.trim_start_matches('/'));
        Some(Self { version, folder })
    }

    /// Returns it and all groups that it lies in; a path from outside a container ends at the root.
    fn around(&self) -> impl Iterator<Item = Self> + '_ {
        let within = |folder: &&Path| folder.starts_with(self.version.root);
        let folders = self.folder.ancestors().take_while(within);
        folders.map(|folder| Self {
            version: self.version,
            folder: folder.to_owned(),
        })
    }

    fn room(&self) -> Option<u64> {
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).ok();
        let number = |name: &str| -> Option<u64> { text(name)?.trim().parse().ok() };
        let (limit, used) = (number(self.version.limit)?, number(self.version.used)?);
        let told = text("memory.stat").unwrap_or_default();
        let cached = self.version.cached;
        let cached = cached.iter().filter_map(|name| count(&told, name)).sum();
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FIRST, Group, SECOND, room};

    #[test]
    fn groups_are_found_in_either_version_with_those_around_them() {
        let place = |line| Group::of(line).map(|group| group.folder.display().to_string());
        assert_eq!(place("0::/").as_deref(), Some("/sys/fs/cgroup/"));
        assert_eq!(place("0::/a/b:c").as_deref(), Some("/sys/fs/cgroup/a/b:c"));
        let first = "/sys/fs/cgroup/memory/pod";
        assert_eq!(place("4:hugetlb,memory:/pod").as_deref(), Some(first));
        assert_eq!(place("1:cpu:/pod"), None);
        assert_eq!(place("nonsense"), None);
        let deep = Group::of("4:memory:/pod/a").expect("a group");
        let around: Vec<_> = deep.around().map(|group| group.folder).collect();
        let wanted = [&format!("{first}/a"), first, "/sys/fs/cgroup/memory"];
        assert_eq!(around, wanted.map(std::path::PathBuf::from));
    }

    #[test]
    fn what_files_hold_in_memory_is_free_and_a_group_without_a_limit_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file");
        };
        let room = |version| {
            let folder = folder.path().to_owned();
            Group { version, folder }.room()
        };
        write("memory.max", "1000\n");
        write("memory.current", "700\n");
        assert_eq!(room(&SECOND), Some(300));
        write(
            "memory.stat",
            "anon 300\ninactive_file 250\nactive_file 50\n",
        );
        assert_eq!(room(&SECOND), Some(600));
        write("memory.max", "max\n");
        assert_eq!((room(&SECOND), room(&FIRST)), (None, None));
        write("memory.limit_in_bytes", "1000\n");
        write("memory.usage_in_bytes", "1100\n");
        write("memory.stat", "inactive_file 9\ntotal_inactive_file 50\n");
        assert_eq!(room(&FIRST), Some(0), "more than there may be");
    }

    #[test]
    fn this_process_has_room() {
        assert!(room().is_none_or(|bytes| bytes > 0));
    }
}
