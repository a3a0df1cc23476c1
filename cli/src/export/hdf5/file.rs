//! An HDF5 file as one buffer: superblock 2, one group, datasets (HDF5 file format 3.0; read by
//! every library since 1.8). Drawn in `docs/FORMATS.md`, "HDF5 files".
//!
//! *Invariants*: what an address points to stands before the address, so nothing is written twice
//! but the superblock; objects begin at multiples of eight.
//!
//! *Not here*: what is stored (`hdf5`), the bytes of messages (`message`).

use crate::export::hdf5::chunks::{self, AXES};
use crate::export::hdf5::lookup3::lookup3;
use crate::export::hdf5::message::{
    Kind, NOWHERE, Value, attribute, chunked, contiguous, dataspace, fill, filters, link,
    link_info, number,
};

/// Signature, versions and sizes, four addresses, checksum.
const SUPERBLOCK_BYTES: usize = 48;

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// A file that is being built.
#[derive(Debug)]
pub(super) struct File {
    bytes: Vec<u8>,
    links: Vec<(String, u64)>,
}

/// Attributes of an object.
pub(super) type Attributes<'a> = [(&'a str, Value)];

impl File {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; SUPERBLOCK_BYTES],
            links: Vec::new(),
        }
    }

    /// Adds a dataset in one piece.
    pub(super) fn plain(
        &mut self,
        name: &str,
        (kind, shape): (Kind, &[usize]),
        data: &[u8],
        attributes: &Attributes<'_>,
    ) {
        self.align();
        let address = if data.is_empty() {
            NOWHERE
        } else {
            self.bytes.len() as u64
        };
        self.bytes.extend_from_slice(data);
        let mut messages = described(kind, shape);
        messages.push((number::LAYOUT, contiguous(address, data.len() as u64)));
        self.dataset(name, messages, attributes);
    }

    /// Adds a chunked, compressed dataset of four axes.
    pub(super) fn chunked(
        &mut self,
        name: &str,
        kind: Kind,
        samples: &[u8],
        form: &Form<'_>,
    ) -> std::io::Result<()> {
        let size = kind.size() as usize;
        let cut = chunks::cut(samples, size, (&form.shape, &form.chunk))?;
        let tree = chunks::append(&mut self.bytes, &cut, form.shape[0]);
        let mut messages = described(kind, &form.shape);
        messages.push((number::LAYOUT, chunked(tree, &form.chunk, kind)));
        messages.push((number::FILTERS, filters(kind)));
        self.dataset(name, messages, form.attributes);
        Ok(())
    }

    fn dataset(&mut self, name: &str, mut messages: Vec<Message>, attributes: &Attributes<'_>) {
        for (name, value) in attributes {
            messages.push((number::ATTRIBUTE, attribute(name, value)));
        }
        let address = self.object(&messages);
        self.links.push((name.to_owned(), address));
    }

    fn align(&mut self) {
        let end = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(end, 0);
    }

    /// Appends an object header, version 2; returns where it stands.
    fn object(&mut self, messages: &[Message]) -> u64 {
        self.align();
        let start = self.bytes.len();
        let length: usize = messages.iter().map(|(_, m)| 4 + m.len()).sum();
        // Flags: the length that follows has four bytes.
        self.bytes.extend(b"OHDR\x02\x02");
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_le_bytes());
        for (number, message) in messages {
            self.bytes.push(*number);
            let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
            self.bytes.extend(length.to_le_bytes());
            self.bytes.push(0);
            self.bytes.extend(message);
        }
        let sum = lookup3(&self.bytes[start..]);
        self.bytes.extend(sum.to_le_bytes());
        start as u64
    }

    /// Adds the group of all datasets and the superblock; returns the file.
    pub(super) fn finish(mut self, attributes: &Attributes<'_>) -> Vec<u8> {
        let mut messages = vec![
            (number::LINK_INFO, link_info()),
            (number::GROUP_INFO, vec![0, 0]),
        ];
        let links = self.links.iter();
        messages.extend(links.map(|(name, place)| (number::LINK, link(name, *place))));
        for (name, value) in attributes {
            messages.push((number::ATTRIBUTE, attribute(name, value)));
        }
        let root = self.object(&messages);
        let end = self.bytes.len() as u64;
        // Version 2; offsets and lengths of eight bytes; closed properly.
        let mut head = [SIGNATURE, &[2, 8, 8, 0]].concat();
        for address in [0, NOWHERE, end, root] {
            head.extend(u64::to_le_bytes(address));
        }
        head.extend(lookup3(&head).to_le_bytes());
        self.bytes[..SUPERBLOCK_BYTES].copy_from_slice(&head);
        self.bytes
    }
}

/// Type and bytes of a header message.
type Message = (u8, Vec<u8>);

/// Shape, chunks and attributes of a chunked dataset.
#[derive(Debug)]
pub(super) struct Form<'a> {
    pub(super) shape: [usize; AXES],
    pub(super) chunk: [usize; AXES],
    pub(super) attributes: &'a Attributes<'a>,
}

/// Returns the messages that say what a dataset's elements are.
fn described(kind: Kind, shape: &[usize]) -> Vec<Message> {
    vec![
        (number::DATASPACE, dataspace(Some(shape))),
        (number::DATATYPE, kind.message()),
        (number::FILL, fill()),
    ]
}
