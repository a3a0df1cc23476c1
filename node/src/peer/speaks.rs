//! Which versions a node speaks and reads.
//!
//! Each node says so when it joins, and in its beats, so that all know of all. A version of
//! messages adds questions to those of the one before, on streams of the same protocol; what
//! changes bytes that there were gets a protocol of another name. Nodes speak no version of before
//! their fold of changes to layouts.
//!
//! *Invariants*: two nodes speak the greatest version that both do; without one, neither guesses;
//! each question is of one version, and whoever speaks that one knows it.
//!
//! *Not here*: the messages (`peer`), their protocol names (`swarm`).

use earth::split::meta::META_VERSION;
use serde::{Deserialize, Serialize};

use super::{GuestWord, Request};
use crate::layout::FOLD;

/// Version of messages that has had `Cells`, `Rivals`, `JobsPage`, `Unplanned` and guests that are
/// published, and answers with a fault what it cannot read.
const PAGES: u16 = 2;
/// Version of messages whose membership changes may forsake a node (`What::Forsake`).
pub(crate) const FORSAKES: u16 = 3;
/// Version of messages since which changes are folded as they are here: whoever speaks none so late
/// finds other owners, would put where nobody looks and answer that nothing is there.
const FOLDS: u16 = 4;
const _: () = assert!(FOLD == 2, "another fold takes another FOLDS");
/// Greatest version of a split's metadata that is read here.
const FILES: u16 = 1;
const _: () = assert!(META_VERSION == FILES as u32, "nodes say what they read");

/// The versions of all that nodes exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of messages.
    pub messages: Speaks,
    /// Of the files of splits that are read.
    pub files: Speaks,
}

impl Versions {
    /// What this glebe speaks and reads.
    pub const OURS: Self = Self {
        messages: Speaks::OURS,
        files: Speaks {
            least: 1,
            most: FILES,
        },
    };

    /// Tells whether two nodes can work together.
    pub fn agree(self, other: Self) -> bool {
        let messages = self.messages.agree(other.messages);
        messages.is_some() && self.files.agree(other.files).is_some()
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "messages of {}, files of {}", self.messages, self.files)
    }
}

/// A range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaks {
    least: u16,
    most: u16,
}

impl Speaks {
    /// What this glebe speaks, all of it on `/glebe/1`.
    pub const OURS: Self = Self {
        least: FOLDS,
        most: FOLDS,
    };

    /// Returns the least and the greatest version.
    pub fn range(self) -> (u16, u16) {
        (self.least, self.most)
    }

    /// Tells whether a version, or one behind it, is spoken.
    pub fn reaches(self, version: u16) -> bool {
        self.most >= version
    }

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

impl Request {
    /// Returns the least version of messages that has the question.
    pub fn since(&self) -> u16 {
        match self {
            Self::Cells(_)
            | Self::Rivals(_)
            | Self::JobsPage(_)
            | Self::Doubt
            | Self::Unplanned(_)
            | Self::Guests(GuestWord::Publishing(..)) => PAGES,
            _ => 1,
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
        // Who was built before slots were drawn from changes.
        check(Speaks::OURS.range(), (1, 3), None);
        assert_eq!(speaks(1, 2).to_string(), "versions 1 to 2");
        assert_eq!(speaks(2, 2).to_string(), "version 2");
        assert_eq!(Speaks::OURS.to_string(), "version 4");
    }

    #[test]
    fn who_cannot_read_the_others_files_cannot_work_with_them() {
        let ours = Versions::OURS;
        assert!(ours.agree(ours));
        let later = Speaks { least: 5, most: 6 };
        let files = Versions {
            files: later,
            ..ours
        };
        let messages = Versions {
            messages: later,
            ..ours
        };
        assert!(!ours.agree(files) && !messages.agree(ours));
    }
}
