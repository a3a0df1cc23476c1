//! Bundles arrive whole, however they are sliced, and damaged ones are refused.
//!
//! *Invariants*: no change of any byte goes unnoticed; nothing panics.
//!
//! *Not here*: sending them (`client`).

use bytes::Bytes;
use earth::geocode::{Geocode, Scheme};
use earth::split::placement::{PlacementKey, PlacementRule};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use wire::bundle::{
    BUNDLE_BYTES_MAX, Bundle, BundleError, BundleHeader, Decoder, FILES_MAX, HEADER_BYTES_MAX,
    HeaderError, Kind, MAGIC, Piece, decode,
};
use wire::hit::FileEntry;

fn key() -> PlacementKey {
    let cell = Geocode::parse(Scheme::Geohash, "9xj5k").expect("a geohash");
    PlacementRule::First(3).key(&cell)
}

fn split(files: Vec<(String, Bytes)>) -> Bundle {
    Bundle::new(Kind::Split, "naip/s1~9xj5k", key(), files).expect("a bundle")
}

fn bundles() -> impl Strategy<Value = Bundle> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    proptest::collection::vec(bytes, 1..5).prop_map(|files| {
        let name = |(i, bytes): (usize, Vec<u8>)| (format!("r{i}.tif"), Bytes::from(bytes));
        split(files.into_iter().enumerate().map(name).collect())
    })
}

/// Puts together what a decoder gives out.
fn decode_in_slices(bytes: &[u8], slice: usize) -> Result<Bundle, BundleError> {
    let mut decoder = Decoder::new();
    let (mut header, mut files, mut ended) = (None, Vec::new(), 0);
    for slice in bytes.chunks(slice) {
        for piece in decoder.push(Bytes::copy_from_slice(slice))? {
            match piece {
                Piece::Header(found) => {
                    files = vec![Vec::new(); found.files.len()];
                    header = Some(found);
                }
                Piece::Bytes(file, bytes) => files[file].extend_from_slice(&bytes),
                Piece::FileEnd(file) => {
                    assert_eq!(file, ended, "files end in order");
                    ended += 1;
                }
            }
        }
    }
    decoder.finish()?;
    assert_eq!(ended, files.len(), "every file ended");
    let header = header.expect("a bundle that finished has a header");
    let files = files.into_iter().map(Bytes::from).collect();
    Ok(Bundle { header, files })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_bundle_arrives_whole_however_it_is_sliced(bundle in bundles(), slice in 1..700_usize) {
        let bytes = bundle.encode().unwrap();
        prop_assert_eq!(&decode(bytes.clone()).unwrap(), &bundle);
        prop_assert_eq!(&decode_in_slices(&bytes, slice).unwrap(), &bundle);
        prop_assert_eq!(&decode_in_slices(&bytes, 1).unwrap(), &bundle);
    }

    #[test]
    fn a_bundle_cut_off_anywhere_is_refused(bundle in bundles(), at in any::<Index>()) {
        let bytes = bundle.encode().unwrap();
        let cut = bytes.slice(..at.index(bytes.len()));
        let cut_off = matches!(decode(cut), Err(BundleError::CutOff { .. }));
        prop_assert!(cut_off);
    }

    #[test]
    fn a_changed_byte_never_gives_other_files(
        bundle in bundles(),
        at in any::<Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = bundle.encode().unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        // A changed id, name or hash of the header is a different bundle; bytes are never.
        if let Ok(other) = decode(bytes.into()) {
            prop_assert_eq!(other.files, bundle.files);
            prop_assert!(other.header != bundle.header);
        }
    }

    #[test]
    fn any_bytes_are_a_bundle_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        magic in any::<bool>(),
        length in any::<u32>(),
    ) {
        let mut whole = Vec::new();
        if magic {
            whole.extend(MAGIC);
            whole.extend((length % 300).to_le_bytes());
        }
        whole.extend(bytes);
        prop_assert!(decode(whole.into()).is_err());
    }
}

fn check(change: impl Fn(&mut BundleHeader)) -> Result<(), HeaderError> {
    let files = vec![("r10.tif".to_owned(), Bytes::from_static(b"x"))];
    let mut header = split(files).header;
    change(&mut header);
    header.check()
}

#[test]
fn only_plain_distinct_file_names_pass() {
    assert_eq!(check(|_| {}), Ok(()));
    for name in ["", "..", "../x", "a/b", ".hidden", "-x", "a\0b", "a b"] {
        let wrong = check(|h| name.clone_into(&mut h.files[0].name));
        assert!(matches!(wrong, Err(HeaderError::Name { .. })), "{name}");
    }
    let twice = check(|h| h.files.push(h.files[0].clone()));
    assert!(matches!(twice, Err(HeaderError::Twice { .. })));
}

#[test]
fn counts_sizes_and_hashes_are_bounded() {
    assert_eq!(
        check(|h| h.files.clear()),
        Err(HeaderError::Count { count: 0 })
    );
    let many = check(|h| {
        let entry = |i| FileEntry {
            name: format!("f{i}"),
            ..h.files[0].clone()
        };
        h.files = (0..=FILES_MAX).map(entry).collect();
    });
    assert_eq!(
        many,
        Err(HeaderError::Count {
            count: FILES_MAX + 1
        })
    );
    let large = check(|h| h.files[0].bytes = BUNDLE_BYTES_MAX as u64 + 1);
    assert_eq!(large, Err(HeaderError::Large));
    let huge = check(|h| {
        let entry = |i| FileEntry {
            name: format!("f{i}"),
            bytes: u64::MAX,
            ..h.files[0].clone()
        };
        h.files = (0..2).map(entry).collect();
    });
    assert_eq!(huge, Err(HeaderError::Large));
    for hash in [
        String::new(),
        "0".repeat(63),
        "G".repeat(64),
        "A".repeat(64),
    ] {
        let wrong = check(|h| h.files[0].blake3.clone_from(&hash));
        assert!(matches!(wrong, Err(HeaderError::Hash { .. })), "{hash}");
    }
}

#[test]
fn ids_fit_their_kind_and_keys_fit_their_id() {
    let fits = |kind, id: &str, key: PlacementKey| {
        check(|h| {
            h.kind = kind;
            id.clone_into(&mut h.id);
            h.placement_key = key.clone();
        })
    };
    let named = PlacementKey::named;
    assert_eq!(fits(Kind::Model, "r1/9xj5k", key()), Ok(()));
    assert_eq!(
        fits(Kind::Model, "r1/global", named("global", "r1")),
        Ok(())
    );
    assert_eq!(fits(Kind::Run, "r1", named("run", "r1")), Ok(()));
    assert_eq!(
        fits(Kind::Ledger, "naip/s1", named("ledger", "naip/s1")),
        Ok(())
    );
    assert_eq!(
        fits(Kind::Collection, "naip", named("collection", "naip")),
        Ok(())
    );
    for (kind, id) in [
        (Kind::Split, "naip/s1"),
        (Kind::Split, "../s1~9xj5k"),
        (Kind::Model, "r1/../x"),
        (Kind::Model, "r1"),
        (Kind::Ledger, "naip"),
        (Kind::Run, "a/b"),
        (Kind::Collection, ""),
    ] {
        let wrong = fits(kind, id, key());
        assert!(matches!(wrong, Err(HeaderError::Id { .. })), "{kind} {id}");
    }
    for (kind, id, key) in [
        (Kind::Split, "naip/s1~9xk", key()),
        (Kind::Run, "r1", named("run", "r2")),
        (Kind::Ledger, "naip/s1", key()),
        (Kind::Model, "r1/9xj5k", named("global", "r2")),
    ] {
        let wrong = fits(kind, id, key);
        assert!(
            matches!(wrong, Err(HeaderError::Placement { .. })),
            "{kind} {id}"
        );
    }
}

#[test]
fn a_header_that_says_it_is_huge_is_refused_before_it_is_read() {
    let length = u32::try_from(HEADER_BYTES_MAX + 1).unwrap();
    let bytes = [&MAGIC[..], &length.to_le_bytes()].concat();
    let refused = matches!(decode(bytes.into()), Err(BundleError::HeaderLength { .. }));
    assert!(refused);
}

#[test]
fn bytes_after_the_last_file_are_refused() {
    let files = vec![("a".to_owned(), Bytes::from_static(b"x"))];
    let mut bytes = split(files).encode().unwrap().to_vec();
    bytes.push(0);
    assert!(matches!(decode(bytes.into()), Err(BundleError::Trailing)));
}

#[test]
fn other_bytes_than_the_hash_names_are_refused() {
    let files = vec![("a".to_owned(), Bytes::from_static(b"xyz"))];
    let mut bytes = split(files).encode().unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(
        decode(bytes.into()),
        Err(BundleError::Hash { .. })
    ));
}

#[test]
fn the_first_bundle_ever_written_is_still_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/run.bundle");
    let files = vec![(
        "run.json".to_owned(),
        Bytes::from_static(b"{\"name\":\"r1\"}\n"),
    )];
    let bundle = Bundle::new(Kind::Run, "r1", PlacementKey::named("run", "r1"), files).unwrap();
    let bytes = bundle.encode().unwrap();
    // As with golden JSON: what exists is never rewritten.
    if std::env::var_os("GLEBE_BLESS").is_some() && !std::path::Path::new(path).exists() {
        std::fs::write(path, &bytes).unwrap();
    }
    let golden = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(golden, bytes);
    assert_eq!(decode(golden).unwrap(), bundle);
}

#[test]
fn the_content_hash_ignores_the_order_of_files() {
    let file = |name: &str| (name.to_owned(), Bytes::copy_from_slice(name.as_bytes()));
    let hash = |names: &[&str]| {
        split(names.iter().map(|n| file(n)).collect())
            .header
            .content_hash()
    };
    assert_eq!(hash(&["a", "b"]), hash(&["b", "a"]));
    assert_ne!(hash(&["a", "b"]), hash(&["a"]));
}
