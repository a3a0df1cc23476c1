//! Modules that users made in PyTorch: what is learned with them, and how they travel.
//!
//! *Invariants*: a module is named by the hash of its bytes; who asks for a run with it has put it
//! into the ring before.
//!
//! *Not here*: opening one, which only a worker does (trainer).

use std::fmt;

use bytes::Bytes;
use earth::split::placement::PlacementKey;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Kind};
use crate::fault::{Fault, FaultKind};

/// How a run names a module: this and the name of its file.
pub const PREFIX: &str = "torchscript:";
/// The variable by which the owner of a node lets its workers open users' modules.
pub const MODULES_VARIABLE: &str = "GLEBE_MODULES";
/// Its one value: whoever may start runs may have any module opened.
pub const MODULES_ANY: &str = "any";
/// The module's file in the ring.
pub const MODULE_FILE: &str = "module.pt";
/// What is said of it beside it.
pub const ABOUT_FILE: &str = "module.json";
/// Greatest file: sixteen million weights. It is read whole by each worker of a run.
pub const BYTES_MAX: u64 = 64 << 20;
/// Most bands that enter a module.
pub const INPUTS_MAX: usize = 32;
/// Most classes that are told apart: each is a band of the answer.
pub const CLASSES_MAX: u32 = 64;
/// Longest name of a band.
const NAME_MAX: usize = 64;
/// Digits of its hash by which people tell a module from others: those of a short commit.
const DIGITS_SHOWN: usize = 8;

/// A user's module, and what is learned with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Module {
    /// BLAKE3 (hex) of its file.
    pub blake3: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Bands that enter it, in the order of its channels: common names, or the product's own.
    pub inputs: Vec<String>,
    /// The band that it learns.
    pub label: String,
    /// What it answers for a chip.
    pub answer: Answer,
    /// What is made small.
    pub loss: Loss,
    /// Classes that are told apart, with the loss of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<u32>,
}

/// What a module answers for a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// One number: the mean of the label band.
    Number,
    /// One number a pixel: the label band.
    #[default]
    Map,
}

/// What a module makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mean squared error of standardised answers.
    #[default]
    Mse,
    /// Mean absolute error of standardised answers.
    Mae,
    /// Binary cross-entropy of logits; labels lie in 0..=1.
    Bce,
    /// Cross-entropy of logits, one band a class; labels are the classes' numbers from 0.
    CrossEntropy,
}

impl Loss {
    /// Tells whether labels are learned as they are, not standardised: they are chances.
    pub fn is_of_chances(self) -> bool {
        matches!(self, Self::Bce | Self::CrossEntropy)
    }
}

impl Module {
    /// Checks what can be told without opening it.
    ///
    /// # Errors
    /// A field that is out of range, or that does not go with another.
    pub fn check(&self) -> Result<(), Fault> {
        let is_name = |name: &String| {
            (1..=NAME_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        let wrong = |reason: String, next: &str| {
            let what = "the module cannot be learned with so";
            Err(Fault::new(FaultKind::Usage, what)
                .because(reason)
                .try_(next))
        };
        if self.inputs.is_empty() || self.inputs.len() > INPUTS_MAX {
            let reason = format!("1 to {INPUTS_MAX} bands enter a module");
            return wrong(reason, "--inputs red,green,blue");
        }
        if !self.inputs.iter().chain([&self.label]).all(is_name) {
            let next = "--inputs red,green,blue --label nir";
            let reason =
                format!("a band's name has 1 to {NAME_MAX} bytes, none a control character");
            return wrong(reason, next);
        }
        if self.bytes == 0 || self.bytes > BYTES_MAX {
            let reason = format!("its file has 1 byte to {} MiB", BYTES_MAX >> 20);
            return wrong(reason, "a smaller module");
        }
        let counts = 2..=CLASSES_MAX;
        match (self.loss, self.classes) {
            (Loss::CrossEntropy, Some(n)) if counts.contains(&n) => {}
            (Loss::CrossEntropy, _) => {
                let reason = format!("cross-entropy tells 2 to {CLASSES_MAX} classes apart");
                return wrong(reason, "--classes N, one more than the greatest label");
            }
            (_, Some(_)) => {
                let next = "--loss cross-entropy, or no --classes";
                return wrong("only cross-entropy tells classes apart".to_owned(), next);
            }
            _ => {}
        }
        if self.loss == Loss::CrossEntropy && self.answer == Answer::Number {
            let next = "--answer map, with a module that answers one band a class";
            return wrong("a chip as a whole has no class".to_owned(), next);
        }
        Ok(())
    }

    /// Returns the module as an object to put.
    ///
    /// # Errors
    /// A hash that no object can have.
    pub fn bundle(&self, file: Bytes) -> Result<Bundle, Fault> {
        let wrong = |reason: String| {
            Fault::new(FaultKind::Internal, "the module cannot be sent").because(reason)
        };
        let about = About {
            blake3: self.blake3.clone(),
            bytes: self.bytes,
        };
        let about = serde_json::to_vec_pretty(&about).map_err(|e| wrong(e.to_string()))?;
        let key = PlacementKey::named(Kind::Module.word(), &self.blake3);
        let files = vec![
            (ABOUT_FILE.to_owned(), Bytes::from(about)),
            (MODULE_FILE.to_owned(), file),
        ];
        let bundle = Bundle::new(Kind::Module, &self.blake3, key, files);
        bundle.map_err(|e| wrong(e.to_string()))
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.answer {
            Answer::Number => "number",
            Answer::Map => "map",
        };
        let loss = match self.loss {
            Loss::Mse => "mse",
            Loss::Mae => "mae",
            Loss::Bce => "bce",
            Loss::CrossEntropy => "cross-entropy",
        };
        let (label, inputs) = (&self.label, self.inputs.join(","));
        write!(f, "{label} from {inputs}, {answer}, {loss}")?;
        if let Some(classes) = self.classes {
            write!(f, " of {classes}")?;
        }
        let digits = self.blake3.get(..DIGITS_SHOWN).unwrap_or(&self.blake3);
        write!(f, ", file {digits}")
    }
}

/// `module.json`: what is said of a module in the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// BLAKE3 (hex) of its file, and its id.
    pub blake3: String,
    /// Bytes of its file.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::{Answer, Loss, Module};

    fn module() -> Module {
        Module {
            blake3: "ab".repeat(32),
            bytes: 9,
            inputs: vec!["red".to_owned(), "B08".to_owned()],
            label: "nir".to_owned(),
            answer: Answer::Map,
            loss: Loss::Mse,
            classes: None,
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_a_next_step() {
        type Change = fn(&mut Module);
        let refused: [Change; 7] = [
            |m| m.inputs.clear(),
            |m| m.label.clear(),
            |m| m.bytes = super::BYTES_MAX + 1,
            |m| m.loss = Loss::CrossEntropy,
            |m| m.classes = Some(3),
            |m| (m.loss, m.classes) = (Loss::CrossEntropy, Some(1)),
            |m| {
                (m.loss, m.classes) = (Loss::CrossEntropy, Some(3));
                m.answer = Answer::Number;
            },
        ];
        assert_eq!(module().check(), Ok(()));
        for change in refused {
            let mut module = module();
            change(&mut module);
            let fault = module.check().expect_err("refused");
            assert!(fault.try_.is_some() && !fault.because.is_empty(), "{fault}");
        }
    }
}
