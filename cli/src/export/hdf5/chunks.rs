//! Chunks of a dataset: cut, shuffled, deflated; and the B-tree (version 1) that finds them.
//!
//! *Invariants*: chunks are ordered row by row of chunks; every node but the last of a level is
//! full; nodes have the size that the library reads.
//!
//! *Not here*: messages.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::export::hdf5::message::{DEFLATE_LEVEL, NOWHERE};

/// Children of a node: twice the rank that the library takes where a file names none.
const CHILDREN_MAX: usize = 64;

/// Axes of a cube: time, band, row, column.
pub(super) const AXES: usize = 4;

/// A compressed chunk and the element it begins with.
#[derive(Debug)]
pub(super) struct Chunk {
    start: [usize; AXES],
    bytes: Vec<u8>,
}

/// Cuts an array into compressed chunks; chunks span one time and one band.
pub(super) fn cut(
    samples: &[u8],
    size: usize,
    (shape, chunk): (&[usize; AXES], &[usize; AXES]),
) -> std::io::Result<Vec<Chunk>> {
    let [times, bands, height, width] = *shape;
    let [_, _, tall, wide] = *chunk;
    let mut chunks = Vec::new();
    for plane in 0..times * bands {
        let bytes = &samples[plane * height * width * size..][..height * width * size];
        for top in (0..height).step_by(tall) {
            for left in (0..width).step_by(wide) {
                let mut plain = vec![0; tall * wide * size];
                let right = (left + wide).min(width);
                for row in top..(top + tall).min(height) {
                    let line = &bytes[(row * width + left) * size..(row * width + right) * size];
                    let at = (row - top) * wide * size;
                    plain[at..at + line.len()].copy_from_slice(line);
                }
                chunks.push(Chunk {
                    start: [plane / bands, plane % bands, top, left],
                    bytes: deflate(&shuffle(&plain, size))?,
                });
            }
        }
    }
    Ok(chunks)
}

/// Groups the bytes of elements by significance.
fn shuffle(plain: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len());
    for significance in 0..size {
        out.extend(plain.iter().skip(significance).step_by(size));
    }
    out
}

fn deflate(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(DEFLATE_LEVEL));
    encoder.write_all(plain)?;
    encoder.finish()
}

/// What a node's key says: the length of the chunk that follows and the element it begins with.
#[derive(Debug, Clone, Copy)]
struct Key {
    length: u32,
    start: [usize; AXES],
}

impl Key {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for place in self.start {
            bytes.extend((place as u64).to_le_bytes());
        }
        // The axis of the bytes of an element.
        bytes.extend(0_u64.to_le_bytes());
    }
}

/// Appends chunks and their tree to a file; returns where the root lies.
pub(super) fn append(file: &mut Vec<u8>, chunks: &[Chunk], times: usize) -> u64 {
    let mut level: Vec<(Key, u64)> = Vec::new();
    for chunk in chunks {
        let key = Key {
            length: u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX),
            start: chunk.start,
        };
        level.push((key, file.len() as u64));
        file.extend_from_slice(&chunk.bytes);
    }
    let end = Key {
        length: 0,
        start: [times, 0, 0, 0],
    };
    for height in 0_u8.. {
        level = nodes(file, height, &level, end);
        if level.len() == 1 {
            break;
        }
    }
    level.first().map_or(NOWHERE, |(_, root)| *root)
}

/// Appends the nodes of one level; returns their first keys and places.
fn nodes(file: &mut Vec<u8>, height: u8, children: &[(Key, u64)], end: Key) -> Vec<(Key, u64)> {
    file.resize(file.len().next_multiple_of(8), 0);
    let first = file.len() as u64;
    let groups: Vec<_> = children.chunks(CHILDREN_MAX).collect();
    let mut made = Vec::new();
    let key_bytes = 8 + 8 * (AXES + 1);
    let node_bytes = 24 + (CHILDREN_MAX + 1) * key_bytes + CHILDREN_MAX * 8;
    for (number, group) in groups.iter().enumerate() {
        let place = |number: usize| first + (number * node_bytes) as u64;
        let left = number.checked_sub(1).map_or(NOWHERE, place);
        let right = if number + 1 < groups.len() {
            place(number + 1)
        } else {
            NOWHERE
        };
        let start = file.len();
        file.extend_from_slice(b"TREE");
        file.extend([1, height]);
        file.extend(u16::try_from(group.len()).unwrap_or(u16::MAX).to_le_bytes());
        file.extend(left.to_le_bytes());
        file.extend(right.to_le_bytes());
        for (key, child) in *group {
            key.put(file);
            file.extend(child.to_le_bytes());
        }
        let after = groups.get(number + 1).and_then(|g| g.first());
        after.map_or(end, |(key, _)| *key).put(file);
        file.resize(start + node_bytes, 0);
        made.extend(group.first().map(|(key, _)| (*key, start as u64)));
    }
    made
}
