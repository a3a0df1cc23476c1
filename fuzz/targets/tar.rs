//! Fuzzes tar archives: where their files lie, and the same files unpacked from a stream.

#![no_main]

use std::io::Cursor;

use ingest::source::guard::UNPACKED_BYTES_MAX;
use ingest::source::tarball::{list_of, unpack_stream};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(listed) = list_of(Cursor::new(data), data.len() as u64) {
        for (name, stretch) in listed {
            assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".."));
            assert!(stretch.offset + stretch.bytes <= data.len() as u64);
        }
    }
    let Ok(folder) = tempfile::TempDir::new_in("/dev/shm") else {
        return;
    };
    let inner = folder.path().join("inner");
    if std::fs::create_dir(&inner).is_err() {
        return;
    }
    if let Ok(files) = unpack_stream(data, &inner) {
        assert!(files.values().sum::<u64>() <= UNPACKED_BYTES_MAX);
    }
    // Whatever the archive says, nothing lies beside the folder it was unpacked into.
    let beside = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    assert!(beside == 1);
});
