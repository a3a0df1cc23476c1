//! Disks whose power can be cut: ext4 on an image that lies on XFS, which copies a file at one
//! instant while it is written.
//!
//! ```text
//! bay (XFS on a loop device) ── node0.img ── ext4 on a loop device at disk0
//!                            ├─ node1.img ── ext4 on a loop device at disk1
//! ```
//! What a program has written and not synced is in the page cache of ext4 and not in the image, as
//! it would not be on a disk.
//!
//! *Invariants*: everything lies below the folder it is made in; all is unmounted when dropped.
//!
//! *Not here*: what is kept on them.

use std::path::{Path, PathBuf};

use crate::lab::run;

/// Greatest sizes; files are sparse.
const BAY: &str = "16G";
const DISK: &str = "3G";

/// Where images lie.
pub(crate) struct Bay {
    folder: PathBuf,
    mounted: bool,
}

/// One disk, mounted.
pub(crate) struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// A disk's content at one instant.
pub(crate) struct Cut(PathBuf);

impl Bay {
    /// Makes one; `None`, with a loud word, where that is not allowed.
    pub(crate) fn new(below: &Path) -> Option<Self> {
        let folder = below.join("bay");
        let image = below.join("bay.img");
        let mut bay = Self {
            folder,
            mounted: false,
        };
        match bay.build(&image) {
            Ok(()) => Some(bay),
            Err(why) => {
                eprintln!("SKIPPED: no disk whose power can be cut: {why}");
                None
            }
        }
    }

    fn build(&mut self, image: &Path) -> Result<(), String> {
        let (image, folder) = (image.display(), self.folder.display());
        run(&format!("mkdir {folder}"))?;
        run(&format!("truncate -s {BAY} {image}"))?;
        run(&format!("mkfs.xfs -q {image}"))?;
        run(&format!("mount -o loop {image} {folder}"))?;
        self.mounted = true;
        Ok(())
    }

    /// Makes a disk and mounts it.
    pub(crate) fn disk(&self, name: &str, at: PathBuf) -> Disk {
        let image = self.folder.join(format!("{name}.img"));
        let disk = Disk { image, at };
        let (image, at) = (disk.image.display(), disk.at.display());
        run(&format!("mkdir {at}")).unwrap();
        run(&format!("truncate -s {DISK} {image}")).unwrap();
        // No block is root's alone: what is full is full for all.
        run(&format!("mkfs.ext4 -q -F -m 0 {image}")).unwrap();
        disk.mount();
        disk
    }
}

impl Disk {
    fn mount(&self) {
        let (image, at) = (self.image.display(), self.at.display());
        run(&format!("mount -o loop {image} {at}")).unwrap();
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let at = self.at.display();
        let free = run(&format!("df --block-size=1M --output=avail {at}")).unwrap();
        let free = String::from_utf8(free.stdout).unwrap();
        let free: u64 = free.lines().last().unwrap().trim().parse().unwrap();
        // All but what its own tables may need, at once; the rest as it comes.
        let most = free.saturating_sub(16);
        run(&format!("fallocate -l {most}M {at}/filler")).unwrap();
        let rest = run(&format!("dd if=/dev/zero of={at}/rest bs=4k"));
        assert!(rest.is_err_and(|why| why.contains("No space left")));
    }

    /// Takes away what filled it.
    pub(crate) fn ease(&self) {
        for name in ["filler", "rest"] {
            std::fs::remove_file(self.at.join(name)).unwrap();
        }
    }

    /// Copies what a disk would hold if power were cut now.
    pub(crate) fn cut(&self) -> Cut {
        let cut = self.image.with_extension("cut");
        let copy = format!("{} {}", self.image.display(), cut.display());
        run(&format!("cp --reflink=always {copy}")).unwrap();
        Cut(cut)
    }

    /// Power is back: the disk holds what it held when it was cut. Nobody may have it open.
    pub(crate) fn back(&self, cut: Cut) {
        run(&format!("umount {}", self.at.display())).unwrap();
        std::fs::rename(cut.0, &self.image).unwrap();
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(run(&format!("umount -l {}", self.at.display())));
    }
}

impl Drop for Bay {
    fn drop(&mut self) {
        if self.mounted {
            drop(run(&format!("umount -l {}", self.folder.display())));
        }
    }
}
