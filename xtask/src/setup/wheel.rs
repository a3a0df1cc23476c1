//! Taking files out of a wheel.
//!
//! *Invariants*: the wheel's checksum is checked before it is opened; every wanted file is found.
//!
//! *Not here*: which files are wanted (`pins`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::pins::Wheel;
use super::stamp::{self, Entries, Entry, sha256_of};

/// Finds `wheel` in `folder`, checks it, and unpacks its wanted files below `target`.
pub(crate) fn unpack(wheel: &Wheel, folder: &Path, target: &Path) -> io::Result<Entries> {
    let file = find(wheel, folder)?;
    let sha256 = sha256_of(&file)?;
    if sha256 != wheel.sha256 {
        let expected = wheel.sha256;
        return Err(io::Error::other(format!(
            "the wheel of {} has SHA-256 {sha256}, not {expected}",
            wheel.requirement
        )));
    }
    let mut archive = ZipArchive::new(File::open(file)?)?;
    let mut entries = Entries::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let Some(path) = destination(wheel, &member.name()?) else {
            continue;
        };
        let entry = write(&mut member, &target.join(&path))?;
        entries.insert(path, entry);
    }
    all_found(wheel, &entries)?;
    Ok(entries)
}

fn find(wheel: &Wheel, folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(wheel.file_prefix)
        {
            return Ok(entry.path());
        }
    }
    Err(io::Error::other(format!(
        "no wheel of {} was downloaded",
        wheel.requirement
    )))
}

/// Returns where a member of the archive goes; `None` when it is not wanted.
fn destination(wheel: &Wheel, member: &str) -> Option<String> {
    if member.ends_with('/') || member.split('/').any(|part| part == "..") {
        return None;
    }
    wheel.takes.iter().find_map(|(from, to)| {
        let rest = member.strip_prefix(from)?;
        (rest.is_empty() || from.ends_with('/')).then(|| format!("{to}{rest}"))
    })
}

fn all_found(wheel: &Wheel, entries: &Entries) -> io::Result<()> {
    for (from, to) in wheel.takes {
        if !entries.keys().any(|path| path.starts_with(to)) {
            let requirement = wheel.requirement;
            return Err(io::Error::other(format!(
                "the wheel of {requirement} has no {from}"
            )));
        }
    }
    Ok(())
}

/// Writes one member to `path` and returns its size and checksum.
fn write(member: &mut impl Read, path: &Path) -> io::Result<Entry> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    stamp::copy(member, &mut File::create(path)?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::Path;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::pins::Wheel;
    use super::super::stamp::sha256_of;
    use super::{destination, unpack};

    const TAKES: &[(&str, &str)] = &[("a/lib.so", "lib/lib.so"), ("a/include/", "include/")];

    fn wheel(sha256: String) -> Wheel {
        let sha256 = String::leak(sha256);
        Wheel {
            requirement: "a==1",
            file_prefix: "a-1-",
            sha256,
            takes: TAKES,
        }
    }

    fn write_wheel(path: &Path, members: &[&str]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for member in members {
            zip.start_file(*member, SimpleFileOptions::default())
                .unwrap();
            zip.write_all(member.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn only_wanted_files_are_taken_and_never_outside() {
        let wheel = wheel(String::new());
        assert_eq!(
            destination(&wheel, "a/lib.so").as_deref(),
            Some("lib/lib.so")
        );
        assert_eq!(
            destination(&wheel, "a/include/x/y.h").as_deref(),
            Some("include/x/y.h")
        );
        assert_eq!(destination(&wheel, "a/include/../../y.h"), None);
        assert_eq!(destination(&wheel, "a/lib.so.2"), None);
        assert_eq!(destination(&wheel, "a/include/"), None);
    }

    #[test]
    fn a_wheel_is_unpacked_only_with_the_right_checksum_and_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (file, target) = (folder.path().join("a-1-any.whl"), folder.path().join("out"));
        write_wheel(&file, &["a/lib.so", "a/include/x.h", "a/other"]);
        let good = wheel(sha256_of(&file).unwrap());
        let entries = unpack(&good, folder.path(), &target).unwrap();
        assert_eq!(
            entries.keys().collect::<Vec<_>>(),
            ["include/x.h", "lib/lib.so"]
        );
        assert_eq!(
            fs::read_to_string(target.join("lib/lib.so")).unwrap(),
            "a/lib.so"
        );
        assert!(!target.join("other").exists());
        let wrong = wheel("00".to_owned());
        assert!(
            unpack(&wrong, folder.path(), &target)
                .unwrap_err()
                .to_string()
                .contains("SHA-256")
        );
        write_wheel(&file, &["a/lib.so"]);
        let short = wheel(sha256_of(&file).unwrap());
        let error = unpack(&short, folder.path(), &target)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "the wheel of a==1 has no a/include/");
    }
}
