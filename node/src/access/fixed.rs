//! So many bytes: hexadecimal digits where people read them, bytes where nodes do.
//!
//! *Invariants*: reads back only as many bytes as it has.
//!
//! *Not here*: what they mean.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::{from_hex, to_hex};

/// `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Fixed<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> fmt::Display for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&to_hex(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let wrong = || D::Error::custom(format!("not {N} bytes in hexadecimal digits"));
            from_hex(&text).map(Self).ok_or_else(wrong)
        } else {
            deserializer.deserialize_bytes(Reader::<N>)
        }
    }
}

/// Reads exactly `N` bytes.
struct Reader<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Reader<N> {
    type Value = Fixed<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Fixed<N>, E> {
        let fixed = bytes.try_into().map(Fixed);
        fixed.map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fixed<N>, A::Error> {
        let mut bytes = [0; N];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let next = seq.next_element()?;
            *byte = next.ok_or_else(|| A::Error::invalid_length(i, &self))?;
        }
        Ok(Fixed(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_from_digits_and_from_bytes_and_no_other_number_of_them_does() {
        let fixed = Fixed([1, 2, 255]);
        assert_eq!(serde_json::to_string(&fixed).unwrap(), "\"0102ff\"");
        assert_eq!(
            serde_json::from_str::<Fixed<3>>("\"0102ff\"").unwrap(),
            fixed
        );
        assert!(serde_json::from_str::<Fixed<3>>("\"0102\"").is_err());
        let bytes = crate::peer::encode(&fixed);
        assert_eq!(bytes, [3, 1, 2, 255]);
        assert_eq!(crate::peer::decode::<Fixed<3>>(&bytes), Ok(fixed));
        assert!(crate::peer::decode::<Fixed<4>>(&bytes).is_err());
    }
}
