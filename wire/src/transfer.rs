//! Transfer between the cells of a run: who starts from whose weights, and how that went; of a
//! tree, which cells do better than the parent that they start from.
//!
//! *Invariants*: a donor never is an heir, so that no cell waits for one that waits; what a run
//! says of its donors is settled before any of its jobs exists.
//!
//! *Not here*: which cells are alike (`query::groups`), warm starts themselves (trainer).

use std::collections::BTreeMap;

use query::groups::Metric;
use serde::{Deserialize, Serialize};

use crate::hit::FileEntry;

/// Where the first weights of a run's models come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferMode {
    /// Every model starts cold.
    #[default]
    None,
    /// From a donor drawn from another group: what like texture is worth is measured against it.
    Random,
    /// From the donor of its own group.
    Texture,
    /// From the model of the cell around it, learned first; kept only if it does better than that.
    Tree,
}

/// What is asked of transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Transfer {
    /// Where first weights come from.
    pub mode: TransferMode,
    /// How textures are compared.
    pub metric: Metric,
    /// Groups to make; as many as are told apart best if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
}

/// Who starts from whose weights: the conduit's answer to `Transfer`, kept with the run, so that
/// every node plans the same and a restart changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inheritance {
    /// Donors with their heirs, by geocode.
    pub donors: Vec<Donor>,
    /// Cells that start cold: they have no texture, or there is no other group.
    pub cold: Vec<String>,
    /// Mean silhouette of the groups, -1..=1.
    pub silhouette: f64,
}

/// A cell that is trained first, and those that start from its weights: a donor of the run's own
/// cells, or a parent around them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Donor {
    /// Geocode text.
    pub geocode: String,
    /// Geocode texts.
    pub heirs: Vec<String>,
    /// Id of the node that trains it, where it is no cell of its own but the parent of its heirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// What an heir starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heritage {
    /// Geocode text of the donor.
    pub donor: String,
    /// What the donor left.
    pub legacy: Legacy,
}

/// What a donor left to its heirs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Legacy {
    /// Nothing yet: its heirs wait.
    #[default]
    Awaited,
    /// The weights of its model, as a file of that model.
    Weights(FileEntry),
    /// It has no model, for this reason: its heirs start cold.
    Lost(String),
}

/// How a model that was to start from a donor's did start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descent {
    /// Geocode text of the donor, in the same run.
    pub donor: String,
    /// Whether the donor's weights were its first.
    pub warm: bool,
    /// Why it started cold instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// BLAKE3 (hex) of the donor's file of weights, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_blake3: Option<String>,
    /// Bytes of it that the worker was given.
    pub bytes: u64,
    /// Whether the donor's first and last layer were told in the heir's units, so that the heir
    /// began with the very function that the donor had learned.
    #[serde(default)]
    pub told: bool,
    /// How both starts did in their first epochs, where both were tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// How it did beside its parent, in a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// A model beside its parent's on the same held-out places: mean squared errors in label units, of
/// each place over all dates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The parent's error.
    pub parent_mse: f64,
    /// Its own.
    pub own_mse: f64,
    /// Places compared.
    pub places: u64,
    /// How likely places differ at least so much in its favour by chance alone: Wilcoxon's
    /// signed-rank test, one-sided.
    pub p: f64,
}

impl Beside {
    /// A child is kept if chance alone does so well less often than this.
    pub const P_MAX: f64 = 0.05;

    /// Tells whether the cell needs its own model.
    pub fn is_better(&self) -> bool {
        self.p < Self::P_MAX
    }

    /// Tells the chance.
    #[must_use]
    pub fn chance(&self) -> String {
        if self.p < 0.001 {
            return "p < 0.001".to_owned();
        }
        format!("p = {:.3}", self.p)
    }
}

/// Both starts of an heir after their first epochs: validation errors, in squared label units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Epochs that each was given.
    pub epochs: u32,
    /// From the donor's weights; none if a loss was not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_mse: Option<f64>,
    /// From its own first weights; none if a loss was not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_mse: Option<f64>,
}

impl Transfer {
    /// Tells whether every model starts cold.
    pub fn is_none(&self) -> bool {
        self.mode == TransferMode::None
    }
}

impl Inheritance {
    /// Returns the donor of each heir.
    pub fn donor_of(&self) -> BTreeMap<&str, &str> {
        let mut of = BTreeMap::new();
        for Donor { geocode, heirs, .. } in &self.donors {
            of.extend(heirs.iter().map(|heir| (heir.as_str(), geocode.as_str())));
        }
        of
    }

    /// Counts the heirs.
    pub fn heirs(&self) -> usize {
        self.donors.iter().map(|donor| donor.heirs.len()).sum()
    }
}

impl Heritage {
    /// Returns what an heir of that donor knows at first: nothing.
    pub fn awaited(donor: &str) -> Self {
        Self {
            donor: donor.to_owned(),
            legacy: Legacy::Awaited,
        }
    }

    /// Returns why the donor left nothing, if that is so.
    pub fn lost(&self) -> Option<&str> {
        match &self.legacy {
            Legacy::Lost(reason) => Some(reason),
            Legacy::Awaited | Legacy::Weights(_) => None,
        }
    }
}
