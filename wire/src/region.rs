//! Regions as their texture tells them apart.
//!
//! *Invariants*: of a cell only its texture travels, 18 numbers.
//!
//! *Not here*: which cells are alike (`query::groups`), how texture is measured (earth).

use serde::{Deserialize, Serialize};

/// Texture of one cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CellTexture {
    /// Geocode text.
    pub geocode: String,
    /// Splits that match, of all kinds.
    pub splits: u64,
    /// Splits whose textures are averaged: whole and clear ones; 0 where there is none.
    pub measured: u64,
    /// Mean of each of the 18 values (S001 §II.E); empty where nothing was measured.
    pub texture: Vec<f64>,
}

/// `POST /v1/textures` answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Textures {
    /// Cells, by geocode.
    pub cells: Vec<CellTexture>,
    /// For every slot asked, a live replica answered.
    pub complete: bool,
}
