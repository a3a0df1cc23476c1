//! Which versions of the messages a node speaks.
//!
//! *Invariants*: two nodes speak the greatest version that both do; without one, neither guesses.
//!
//! *Not here*: the messages (`peer`), their protocol names (`swarm`).

use serde::{Deserialize, Serialize};

/// A range of versions of the messages between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaks {
    least: u16,
    most: u16,
}

impl Speaks {
    /// What this glebe speaks: `/glebe/1`.
    pub const OURS: Self = Self { least: 1, most: 1 };

    /// Returns the version that two nodes speak with each other.
    pub fn agree(self, other: Self) -> Option<u16> {
        let most = self.most.min(other.most);
        (most >= self.least.max(other.least)).then_some(most)
    }
}

impl std::fmt::Display for Speaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.least == self.most {
            write!(f, "version {}", self.most)
        } else {
            write!(f, "versions {} to {}", self.least, self.most)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_speak_the_greatest_version_that_both_do() {
        let speaks = |least, most| Speaks { least, most };
        let check = |a: (u16, u16), b: (u16, u16), agreed| {
            let (a, b) = (speaks(a.0, a.1), speaks(b.0, b.1));
            assert_eq!((a.agree(b), b.agree(a)), (agreed, agreed), "{a} and {b}");
        };
        check((1, 1), (1, 1), Some(1));
        check((1, 2), (2, 3), Some(2));
        check((1, 3), (1, 2), Some(2));
        check((1, 1), (2, 3), None);
        assert_eq!(speaks(1, 2).to_string(), "versions 1 to 2");
        assert_eq!(Speaks::OURS.to_string(), "version 1");
    }
}
