//! Header messages of HDF5 objects: what a dataset is, what an attribute holds.
//!
//! *Invariants*: little-endian; sizes and offsets have eight bytes.
//!
//! *Not here*: where objects lie (`file`).

use earth::split::meta::SampleType;

/// Message types (HDF5 file format 3.0, IV.A.2).
pub(super) mod number {
    pub(in crate::export::hdf5) const DATASPACE: u8 = 0x01;
    pub(in crate::export::hdf5) const LINK_INFO: u8 = 0x02;
    pub(in crate::export::hdf5) const DATATYPE: u8 = 0x03;
    pub(in crate::export::hdf5) const FILL: u8 = 0x05;
    pub(in crate::export::hdf5) const LINK: u8 = 0x06;
    pub(in crate::export::hdf5) const LAYOUT: u8 = 0x08;
    pub(in crate::export::hdf5) const GROUP_INFO: u8 = 0x0a;
    pub(in crate::export::hdf5) const FILTERS: u8 = 0x0b;
    pub(in crate::export::hdf5) const ATTRIBUTE: u8 = 0x0c;
}

/// An address that says "none".
pub(super) const NOWHERE: u64 = u64::MAX;

/// Filters and the level of DEFLATE: past it files shrink by some percent only.
const SHUFFLE: u16 = 2;
const DEFLATE: u16 = 1;
pub(super) const DEFLATE_LEVEL: u32 = 4;

/// What one element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    U16,
    I16,
    U32,
    I32,
    I64,
    F32,
    F64,
    /// UTF-8 of so many bytes, padded with zeros.
    Text(u32),
}

impl Kind {
    pub(super) fn of(sample: SampleType) -> Self {
        match sample {
            SampleType::U8 => Self::U8,
            SampleType::U16 => Self::U16,
            SampleType::I16 => Self::I16,
            SampleType::U32 => Self::U32,
            SampleType::I32 => Self::I32,
            SampleType::F32 => Self::F32,
            SampleType::F64 => Self::F64,
        }
    }

    /// Returns the bytes of one element.
    pub(super) fn size(self) -> u32 {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
            Self::Text(bytes) => bytes,
        }
    }

    /// Returns the datatype message, version 1.
    pub(super) fn message(self) -> Vec<u8> {
        let (class, bits): (u8, [u8; 3]) = match self {
            Self::U8 | Self::U16 | Self::U32 => (0, [0, 0, 0]),
            Self::I16 | Self::I32 | Self::I64 => (0, [0x08, 0, 0]),
            // The leading bit of the mantissa is implied; the sign's place follows.
            Self::F32 => (1, [0x20, 31, 0]),
            Self::F64 => (1, [0x20, 63, 0]),
            Self::Text(_) => (3, [0x11, 0, 0]),
        };
        let mut message = vec![0x10 | class];
        message.extend(bits);
        message.extend(self.size().to_le_bytes());
        match self {
            Self::Text(_) => {}
            Self::F32 => message.extend([0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]),
            Self::F64 => message.extend([0, 0, 64, 0, 52, 11, 0, 52, 0xff, 0x03, 0, 0]),
            _ => {
                message.extend([0, 0]);
                message.extend(u16::try_from(self.size() * 8).unwrap_or(64).to_le_bytes());
            }
        }
        message
    }
}

/// Texts of one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    size: u32,
    count: Option<usize>,
    bytes: Vec<u8>,
}

impl Text {
    /// Holds one text.
    pub(super) fn one(text: &str) -> Self {
        Self {
            count: None,
            ..Self::list(&[text])
        }
    }

    /// Holds a list, each padded with zeros to the longest.
    pub(super) fn list(texts: &[&str]) -> Self {
        let size = texts.iter().map(|t| t.len()).max().unwrap_or(0).max(1);
        let mut bytes = vec![0; size * texts.len()];
        for (text, place) in texts.iter().zip(bytes.chunks_exact_mut(size)) {
            place[..text.len()].copy_from_slice(text.as_bytes());
        }
        Self {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            count: Some(texts.len()),
            bytes,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::Text(self.size)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(Text),
    Doubles(Vec<f64>),
}

/// Returns an attribute message, version 3.
pub(super) fn attribute(name: &str, value: &Value) -> Vec<u8> {
    let (kind, shape, bytes) = match value {
        Value::Text(text) => (text.kind(), text.count.map(|n| vec![n]), text.bytes.clone()),
        Value::Doubles(values) => (
            Kind::F64,
            Some(vec![values.len()]),
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
    };
    let (kind, space) = (kind.message(), dataspace(shape.as_deref()));
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes();
    let mut message = vec![3, 0];
    message.extend(short(name.len() + 1));
    message.extend(short(kind.len()));
    message.extend(short(space.len()));
    message.push(1);
    message.extend(name.as_bytes());
    message.push(0);
    message.extend(kind);
    message.extend(space);
    message.extend(bytes);
    message
}

/// Returns a dataspace message, version 2; `None` for one element without axes.
pub(super) fn dataspace(shape: Option<&[usize]>) -> Vec<u8> {
    let rank = u8::try_from(shape.map_or(0, <[usize]>::len)).unwrap_or(u8::MAX);
    let mut message = vec![2, rank, 0, u8::from(shape.is_some())];
    for side in shape.unwrap_or_default() {
        message.extend((*side as u64).to_le_bytes());
    }
    message
}

/// Returns a fill message, version 3, that leaves unwritten space undefined: none is unwritten.
pub(super) fn fill() -> Vec<u8> {
    vec![3, 0b10_10]
}

/// Returns the layout of a dataset in one piece, version 3.
pub(super) fn contiguous(address: u64, bytes: u64) -> Vec<u8> {
    let mut message = vec![3, 1];
    message.extend(address.to_le_bytes());
    message.extend(bytes.to_le_bytes());
    message
}

/// Returns the layout of a chunked dataset, version 3; `tree` is where its B-tree lies.
pub(super) fn chunked(tree: u64, chunk: &[usize], kind: Kind) -> Vec<u8> {
    let rank = u8::try_from(chunk.len() + 1).unwrap_or(u8::MAX);
    let mut message = vec![3, 2, rank];
    message.extend(tree.to_le_bytes());
    for side in chunk {
        message.extend(u32::try_from(*side).unwrap_or(u32::MAX).to_le_bytes());
    }
    message.extend(kind.size().to_le_bytes());
    message
}

/// Returns the filters, version 2: bytes by significance, then DEFLATE.
pub(super) fn filters(kind: Kind) -> Vec<u8> {
    let mut message = vec![2, 2];
    for (id, setting) in [(SHUFFLE, kind.size()), (DEFLATE, DEFLATE_LEVEL)] {
        message.extend(id.to_le_bytes());
        message.extend([0, 0, 1, 0]);
        message.extend(setting.to_le_bytes());
    }
    message
}

/// Returns a hard link to an object, version 1.
pub(super) fn link(name: &str, address: u64) -> Vec<u8> {
    let mut message = vec![1, 0, u8::try_from(name.len()).unwrap_or(u8::MAX)];
    message.extend(name.as_bytes());
    message.extend(address.to_le_bytes());
    message
}

/// Returns the message of a group whose links stand in its header.
pub(super) fn link_info() -> Vec<u8> {
    let mut message = vec![0, 0];
    message.extend(NOWHERE.to_le_bytes());
    message.extend(NOWHERE.to_le_bytes());
    message
}
