//! NetCDF classic files, written byte by byte for tests.
//!
//! Source: Unidata, NetCDF Classic Format Specification (CDF-1).
//!
//! *Invariants*: two-dimensional variables of one shape; all numbers big-endian.
//!
//! *Not here*: what the variables mean.

use std::path::Path;

/// Numbers of a variable or of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    Short(Vec<i16>),
    Int(Vec<i32>),
    Double(Vec<f64>),
    Text(String),
}

impl Numbers {
    fn kind(&self) -> u32 {
        match self {
            Self::Text(_) => 2,
            Self::Short(_) => 3,
            Self::Int(_) => 4,
            Self::Double(_) => 6,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Short(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Double(v) => v.len(),
        }
    }

    /// Bytes, filled up to a multiple of four.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Short(v) => v.iter().flat_map(|n| n.to_be_bytes()).collect(),
            Self::Int(v) => v.iter().flat_map(|n| n.to_be_bytes()).collect(),
            Self::Double(v) => v.iter().flat_map(|n| n.to_be_bytes()).collect(),
        };
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// A variable with its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) numbers: Numbers,
    pub(crate) attributes: Vec<(&'static str, Numbers)>,
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend(u32::try_from(n).unwrap().to_be_bytes());
}

fn name(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend(Numbers::Text(text.to_owned()).bytes());
}

/// Writes the header; `begins` says where the data of each variable lies.
fn header((width, height): (usize, usize), variables: &[Variable], begins: &[usize]) -> Vec<u8> {
    let mut out = b"CDF\x01\0\0\0\0".to_vec();
    number(&mut out, 0x0A);
    number(&mut out, 2);
    for (dimension, length) in [("rows", height), ("columns", width)] {
        name(&mut out, dimension);
        number(&mut out, length);
    }
    out.extend([0; 8]);
    number(&mut out, 0x0B);
    number(&mut out, variables.len());
    for (variable, begin) in variables.iter().zip(begins) {
        name(&mut out, &variable.name);
        for n in [2, 0, 1, 0x0C, variable.attributes.len()] {
            number(&mut out, n);
        }
        for (attribute, numbers) in &variable.attributes {
            name(&mut out, attribute);
            number(&mut out, numbers.kind() as usize);
            number(&mut out, numbers.count());
            out.extend(numbers.bytes());
        }
        number(&mut out, variable.numbers.kind() as usize);
        number(&mut out, variable.numbers.bytes().len());
        number(&mut out, *begin);
    }
    out
}

/// Writes a file of variables of columns × rows.
pub(crate) fn write(path: &Path, size: (usize, usize), variables: &[Variable]) {
    let mut at = header(size, variables, &vec![0; variables.len()]).len();
    let mut begins = Vec::new();
    for variable in variables {
        assert_eq!(variable.numbers.count(), size.0 * size.1);
        begins.push(at);
        at += variable.numbers.bytes().len();
    }
    let mut bytes = header(size, variables, &begins);
    for variable in variables {
        bytes.extend(variable.numbers.bytes());
    }
    std::fs::write(path, bytes).unwrap();
}
