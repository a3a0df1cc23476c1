//! A network as TorchScript: `model.pt`, which PyTorch opens without our code.
//!
//! The network is traced over one chip, its weights frozen in as constants. It takes and answers
//! what the network does, standardised, for any number of chips.
//!
//! *Invariants*: the same weights give the same answers as `model.safetensors`; only answering is
//! traced, so that batch normalisation goes by what it remembers.
//!
//! *Not here*: modules that users bring (`module`): theirs are written as they are, with what they
//! learned.

use std::path::{Path, PathBuf};

use tch::{CModule, Device, Kind, TchError, Tensor};

use crate::network::{Network, Weights, WeightsError};
use crate::recipe::{Phase, Recipe};
use crate::seed::Dice;

/// Name of the file while it is written: it also names a folder inside the archive, so that it must
/// not change from run to run.
const FILE: &str = "model.pt";

/// Why there is no TorchScript.
#[derive(Debug, thiserror::Error)]
pub enum TorchScriptError {
    /// The weights are not the recipe's.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Libtorch cannot trace or write it.
    #[error("libtorch makes no TorchScript of it")]
    Trace(#[from] TchError),
    /// The file cannot be written to be read back.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Returns the bytes of a TorchScript file with those weights, traced over a chip of that side.
pub fn encode(
    recipe: &dyn Recipe,
    weights: &Weights,
    chip_px: u32,
) -> Result<Vec<u8>, TorchScriptError> {
    let mut network = Network::new(recipe, Device::Cpu, &mut Dice::new(0, &[]));
    network.set_weights(weights)?;
    if let Some(bytes) = network.script() {
        return bytes;
    }
    network.freeze();
    let channels = i64::try_from(recipe.inputs().len()).unwrap_or(1);
    let side = i64::from(chip_px);
    let chip = Tensor::zeros([1, channels, side, side], (Kind::Float, Device::Cpu));
    let mut answer = |chips: &[Tensor]| vec![network.forward(&chips[0], Phase::Answer)];
    let module = CModule::create_by_tracing("Network", "forward", &[chip], &mut answer)?;
    bytes_of(&module)
}

/// Writes a module into a scratch folder, reads it back and removes it: libtorch writes files only.
pub fn bytes_of(module: &CModule) -> Result<Vec<u8>, TorchScriptError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| TorchScriptError::Io { path, source }
    };
    let folder = tempfile::tempdir().map_err(io(&std::env::temp_dir()))?;
    let file = folder.path().join(FILE);
    module.save(&file)?;
    std::fs::read(&file).map_err(io(&file))
}

#[cfg(test)]
mod tests {
    use tch::{CModule, Device, Kind, Tensor};

    use super::encode;
    use crate::network::{Network, floats};
    use crate::recipe::{Phase, RECIPES};
    use crate::seed::Dice;

    #[test]
    fn every_network_answers_the_same_as_torchscript_whatever_the_number_of_chips() {
        for recipe in RECIPES {
            let network = Network::new(recipe, Device::Cpu, &mut Dice::new(1, &[]));
            let chips = Tensor::arange(7 * 3 * 32 * 32, (Kind::Float, Device::Cpu)).sin();
            let chips = chips.reshape([7, 3, 32, 32]);
            drop(tch::no_grad(|| network.forward(&chips, Phase::Learn)));
            let weights = network.weights();
            let bytes = encode(recipe, &weights, 32).expect("TorchScript");
            assert_eq!(
                blake3::hash(&bytes),
                blake3::hash(&encode(recipe, &weights, 32).expect("TorchScript")),
                "the same weights are the same file"
            );
            let module = CModule::load_data(&mut bytes.as_slice()).expect("it loads");
            let theirs = floats(&module.forward_ts(&[&chips]).expect("it answers"));
            let ours = network.answer(&chips);
            assert_eq!(ours.len(), theirs.len());
            let near = ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near, "{}", recipe.name());
        }
    }
}
