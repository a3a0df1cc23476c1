//! Fuzzes zip archives: the list of entries, and every entry read.

#![no_main]

use std::io::Write as _;

use ingest::source::archive::Archive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
        return;
    };
    if file.write_all(data).is_err() {
        return;
    }
    let Ok(mut archive) = Archive::open(file.path()) else {
        return;
    };
    let names: Vec<String> = archive.files().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let mut bytes = 0_u64;
        let read = archive.read(&name, &mut |piece| bytes += piece.len() as u64);
        assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".."));
        assert!(read.is_err() || bytes <= ingest::source::guard::UNPACKED_BYTES_MAX);
    }
});
