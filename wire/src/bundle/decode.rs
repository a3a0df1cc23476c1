//! Reading a bundle as its bytes arrive, and checking every one of them.
//!
//! *Invariants*: memory held here is one header at most; no byte of a file is given out before
//! the header is checked, and no file is called whole before its hash is right.
//!
//! *Not here*: where the bytes go (node writes them into its `tmp`).

use bytes::{Buf, Bytes, BytesMut};

use super::check::HeaderError;
use super::{Bundle, BundleHeader, HEADER_BYTES_MAX, MAGIC, PREFIX_BYTES};

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The first four bytes are not `GLB1`.
    #[error("these are no bytes of a bundle")]
    Magic,
    /// The header says that it is longer than allowed.
    #[error("a header of {length} bytes is longer than {HEADER_BYTES_MAX}")]
    HeaderLength {
        /// Its length by its own account.
        length: u32,
    },
    /// The header is no JSON of a header.
    #[error("the header cannot be read")]
    Json(#[source] serde_json::Error),
    /// The header says something that is not allowed.
    #[error("the header is not allowed")]
    Header(#[source] HeaderError),
    /// A file's bytes are not those that the header names.
    #[error("the bytes of file '{name}' are not those that its hash names")]
    Hash {
        /// The file.
        name: String,
    },
    /// The bytes end before the last file does.
    #[error("cut off {missing}")]
    CutOff {
        /// Where: `inside the header` or `inside file 'NAME'`.
        missing: String,
    },
    /// Bytes follow the last file.
    #[error("bytes follow the last file")]
    Trailing,
}

/// What a decoder gives out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The header; comes first and once.
    Header(BundleHeader),
    /// Some bytes of the file with that index in the header.
    Bytes(usize, Bytes),
    /// The file with that index is whole and its hash is right.
    FileEnd(usize),
}

/// Reads a bundle as its bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes of the header so far; unused once it is read.
    head: BytesMut,
    header: Option<BundleHeader>,
    /// Index of the file being read.
    file: usize,
    /// Bytes of that file that are still to come.
    left: u64,
    hasher: blake3::Hasher,
}

impl Decoder {
    /// Builds a decoder that waits for the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they arrive and returns what they complete.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<Vec<Piece>, BundleError> {
        let mut pieces = Vec::new();
        if self.header.is_none() {
            let Some(header) = self.push_head(&mut bytes)? else {
                return Ok(pieces);
            };
            self.left = header.files.first().map_or(0, |f| f.bytes);
            self.header = Some(header.clone());
            pieces.push(Piece::Header(header));
        }
        self.push_files(bytes, &mut pieces)?;
        Ok(pieces)
    }

    /// Ends the input; an error if the bundle is not whole.
    pub fn finish(self) -> Result<(), BundleError> {
        let missing = match &self.header {
            None => "inside the header".to_owned(),
            Some(header) => match header.files.get(self.file) {
                None => return Ok(()),
                Some(file) => format!("inside file '{}'", file.name),
            },
        };
        Err(BundleError::CutOff { missing })
    }

    /// Collects the header's bytes; returns it once it is whole and allowed.
    fn push_head(&mut self, bytes: &mut Bytes) -> Result<Option<BundleHeader>, BundleError> {
        self.take_head(bytes, PREFIX_BYTES);
        let known = self.head.len().min(MAGIC.len());
        if self.head[..known] != MAGIC[..known] {
            return Err(BundleError::Magic);
        }
        if self.head.len() < PREFIX_BYTES {
            return Ok(None);
        }
        let length = (&self.head[MAGIC.len()..PREFIX_BYTES]).get_u32_le();
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > HEADER_BYTES_MAX {
            return Err(BundleError::HeaderLength { length });
        }
        self.take_head(bytes, PREFIX_BYTES + size);
        if self.head.len() < PREFIX_BYTES + size {
            return Ok(None);
        }
        let json = self.head.split().freeze().slice(PREFIX_BYTES..);
        let header: BundleHeader = serde_json::from_slice(&json).map_err(BundleError::Json)?;
        header.check().map_err(BundleError::Header)?;
        Ok(Some(header))
    }

    /// Moves bytes to the head until it has `until` of them.
    fn take_head(&mut self, bytes: &mut Bytes, until: usize) {
        let wanted = until.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes.split_to(wanted));
    }

    /// Hands bytes to the files they belong to.
    fn push_files(&mut self, mut bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), BundleError> {
        loop {
            let files = self.header.as_ref().map_or(&[][..], |h| &h.files);
            let Some(file) = files.get(self.file) else {
                return if bytes.is_empty() {
                    Ok(())
                } else {
                    Err(BundleError::Trailing)
                };
            };
            if self.left > 0 {
                if bytes.is_empty() {
                    return Ok(());
                }
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let taken = bytes.split_to(left.min(bytes.len()));
                self.hasher.update(&taken);
                self.left -= taken.len() as u64;
                out.push(Piece::Bytes(self.file, taken));
                continue;
            }
            if self.hasher.finalize().to_hex().as_str() != file.blake3 {
                let name = file.name.clone();
                return Err(BundleError::Hash { name });
            }
            out.push(Piece::FileEnd(self.file));
            self.left = files.get(self.file + 1).map_or(0, |f| f.bytes);
            self.file += 1;
            self.hasher.reset();
        }
    }
}

/// Reads a bundle that is in memory; its files share the given bytes.
pub fn decode(bytes: Bytes) -> Result<Bundle, BundleError> {
    let mut decoder = Decoder::new();
    let mut files = Vec::new();
    let mut found = None;
    for piece in decoder.push(bytes)? {
        match piece {
            Piece::Header(header) => {
                files = vec![Bytes::new(); header.files.len()];
                found = Some(header);
            }
            Piece::Bytes(file, bytes) => files[file] = bytes,
            Piece::FileEnd(_) => {}
        }
    }
    decoder.finish()?;
    let missing = || BundleError::CutOff {
        missing: "inside the header".to_owned(),
    };
    let header = found.ok_or_else(missing)?;
    Ok(Bundle { header, files })
}
