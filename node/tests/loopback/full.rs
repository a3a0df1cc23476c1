//! A disk that is full: nothing more is taken in, everything else goes on.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use wire::bundle::Kind;
use wire::fault::FaultKind;

use crate::bench::{cluster_below, open, until};
use crate::repair::model;

/// A small file system of its own; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// Mounts one, or says aloud that this machine does not let us.
    fn new(below: &Path) -> Option<Self> {
        let path = below.join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"])
            .arg(&path)
            .output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(path));
        }
        eprintln!("SKIPPED: a small file system cannot be mounted here (it takes root)");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|s| s.success()) || std::thread::panicking());
    }
}

/// Fills what is left of a file system.
fn fill_up(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_puts_serves_reads_and_takes_puts_again_once_there_is_space() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(scratch.path()) else {
        return;
    };
    let dir = Arc::new(tempfile::tempdir_in(&mount.0).unwrap());
    let mut node = cluster_below(Arc::clone(&dir)).await;
    let mut acked = Vec::new();
    let fault = loop {
        let object = model(acked.len() as u64);
        match node.put(&object).await {
            Ok(_) => acked.push(object),
            Err(fault) => break fault,
        }
        assert!(acked.len() < 1_024, "the disk never fills");
    };
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
    let said = format!("{fault:?}");
    assert!(said.contains("no space left"), "{said}");
    assert!(acked.len() > 100, "{}", acked.len());
    let ballast = mount.0.join("somebody_elses");
    fill_up(&ballast);
    for start in 0..3 {
        // The first time it runs on; then it starts on the full disk.
        if start > 0 {
            node.kill().await;
            node = open(Arc::clone(&dir), None, None).await.unwrap();
        }
        let listed = node.cluster.records(Kind::Model).await;
        assert_eq!((listed.records.len(), listed.complete), (acked.len(), true));
        for object in acked.iter().step_by(17) {
            let bytes = node.cluster.fetch(&object.key, "model.safetensors");
            assert_eq!(bytes.await.unwrap(), object.files[1].bytes);
        }
        let refused = node.put(&model(acked.len() as u64)).await.unwrap_err();
        assert!(format!("{refused:?}").contains("no space left"));
    }
    std::fs::remove_file(ballast).unwrap();
    let freed: Vec<_> = acked.drain(..20).map(|o| o.key).collect();
    for key in &freed {
        assert!(node.store.delete(key).unwrap());
    }
    until("puts are taken again", async || {
        node.put(&model(1_000)).await.is_ok()
    })
    .await;
    let report = node.cluster.verify().await;
    assert!(report.complete && report.problems.is_empty(), "{report:?}");
    node.kill().await;
    drop(dir);
}
