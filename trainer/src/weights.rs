//! `model.safetensors`: weights by name, with a few facts as text.
//!
//! ```text
//! u64 LE header length
//! header (JSON, padded with spaces to 8 bytes)
//! f32 LE values, tensor by tensor
//! ```
//! The format is Hugging Face's (safetensors 1.0); the crate of that name reads ours and any
//! other's. We write ourselves because the crate keeps the facts in a hash map: their order, and
//! with it the file's hash, would change from run to run.
//!
//! *Invariants*: the same weights and facts give the same bytes; tensors lie in text order of
//! names.
//!
//! *Not here*: what the names mean (`recipe`).

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use crate::network::{Weight, Weights};

/// The header's length is a multiple of this, so that values are aligned in a mapped file.
const ALIGNMENT_BYTES: usize = 8;

/// Why a file holds no weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFileError {
    /// The file is not in the format.
    #[error("model.safetensors cannot be read")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor is not of 32-bit floats.
    #[error("tensor {name} of model.safetensors holds {dtype:?}, not F32")]
    Type {
        /// Which tensor.
        name: String,
        /// What it holds.
        dtype: Dtype,
    },
}

/// Writes weights and facts as the bytes of a safetensors file.
pub fn encode(weights: &Weights, facts: &BTreeMap<String, String>) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(facts));
    let mut end = 0;
    for (name, weight) in weights {
        let start = end;
        end += weight.values.len() * size_of::<f32>();
        let entry = json!({"dtype": "F32", "shape": weight.shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT_BYTES), b' ');
    let mut bytes = Vec::with_capacity(ALIGNMENT_BYTES + header.len() + end);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for weight in weights.values() {
        bytes.extend(weight.values.iter().flat_map(|v| v.to_le_bytes()));
    }
    bytes
}

/// Reads the weights of a safetensors file.
pub fn decode(bytes: &[u8]) -> Result<Weights, WeightsFileError> {
    let file = SafeTensors::deserialize(bytes)?;
    let read = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(WeightsFileError::Type {
                name: name.to_owned(),
                dtype: view.dtype(),
            });
        }
        let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let weight = Weight {
            shape: view
                .shape()
                .iter()
                .map(|n| i64::try_from(*n).unwrap_or(0))
                .collect(),
            values: view
                .data()
                .chunks_exact(size_of::<f32>())
                .map(value)
                .collect(),
        };
        Ok((name.to_owned(), weight))
    };
    file.iter().map(read).collect()
}

/// Reads the facts that stand beside the weights of a safetensors file.
pub fn facts(bytes: &[u8]) -> Result<BTreeMap<String, String>, WeightsFileError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let facts = header.metadata().as_ref().into_iter().flatten();
    Ok(facts
        .map(|(name, fact)| (name.clone(), fact.clone()))
        .collect())
}

/// Returns the BLAKE3 (hex) of weights: names, shapes and values, whatever stands beside them.
pub fn hash(weights: &Weights) -> String {
    blake3::hash(&encode(weights, &BTreeMap::new()))
        .to_hex()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{WeightsFileError, decode, encode, hash};
    use crate::network::{Weight, Weights};

    fn weights() -> Weights {
        let weight = |shape: &[i64], values: &[f32]| Weight {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        Weights::from([
            ("b".to_owned(), weight(&[2, 1], &[1.5, -0.0])),
            ("a".to_owned(), weight(&[3], &[f32::MIN, 1e-40, 7.0])),
        ])
    }

    #[test]
    fn what_is_written_is_read_by_the_formats_own_crate() {
        let facts = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = encode(&weights(), &facts);
        assert_eq!(decode(&bytes).expect("our own file"), weights());
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
        let told = header.metadata().as_ref().and_then(|m| m.get("format"));
        assert_eq!(told.map(String::as_str), Some("pt"));
    }

    #[test]
    fn the_hash_sees_weights_and_nothing_else() {
        let mut other = weights();
        assert_eq!(hash(&weights()), hash(&other));
        if let Some(weight) = other.get_mut("a") {
            weight.values[2] = 7.000_001;
        }
        assert_ne!(hash(&weights()), hash(&other));
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let bytes = encode(&weights(), &BTreeMap::new());
        for cut in [0, 7, 20, bytes.len() - 1] {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let at = bytes.windows(3).position(|w| w == b"F32").expect("a type");
        let mut foreign = bytes;
        foreign[at] = b'I';
        let wrong = decode(&foreign);
        assert!(
            matches!(wrong, Err(WeightsFileError::Type { .. })),
            "{wrong:?}"
        );
    }
}
