//! Opens a user's module and tries it, so that a run with it fails at once and says why.
//!
//! *Invariants*: what was tried has weights that learn, takes chips of the run's bands and side,
//! answers in the shape of its label, and keeps nothing between batches but its parameters: a
//! checkpoint therefore holds all of it.
//!
//! *Not here*: learning with it (`net`).

use tch::{CModule, Device, Kind, Tensor};
use wire::module::Answer as Answers;

use crate::memory::without_gradients;
use crate::module::Module;
use crate::recipe::Task as _;
use crate::torchscript::{TorchScriptError, bytes_of};

/// Chips that a module is tried on: two, so that what depends on their number shows.
const TRIED_CHIPS: i64 = 2;
/// Longest part of libtorch's words that is told.
const CAUSE_CHARS: usize = 300;

/// A module's script with its weights by name, and whether each learns.
#[derive(Debug)]
pub struct Opened {
    /// What it does.
    pub script: CModule,
    /// Its weights: shared with the script, so that who changes them changes its answers.
    pub weights: Vec<(String, Tensor, bool)>,
}

/// Why a module cannot be learned with.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// What is wished of it does not go together.
    #[error("the module cannot be learned with so: {0}")]
    Wish(String),
    /// Its file was not brought.
    #[error("the module's file was not brought")]
    Missing,
    /// Its file is another.
    #[error("the module's file is not the one that the run names (BLAKE3 differs)")]
    Hash,
    /// It is no TorchScript.
    #[error(
        "the file is no TorchScript module: {0}; try: torch.jit.script(module).save(\"FILE.pt\"), \
         not torch.save"
    )]
    NotScript(String),
    /// Nothing in it learns.
    #[error(
        "the module has no parameters that learn; try: save it before torch.jit.freeze or \
         optimize_for_inference, with requires_grad"
    )]
    Fixed,
    /// A weight is of another type.
    #[error("parameter {name} holds {kind:?}, not 32-bit floats; try: module.float()")]
    Kind {
        /// Which.
        name: String,
        /// What it holds.
        kind: Kind,
    },
    /// Two names for one weight.
    #[error("parameters {0} and {1} are one tensor; try: a copy of its own for each")]
    Shared(String, String),
    /// It fails on chips of the run.
    #[error(
        "the module does not take chips of {bands} bands and {chip_px} pixels: {cause}; try: as \
         many --inputs as its first layer has channels, or another --chip"
    )]
    Chips {
        /// Bands.
        bands: usize,
        /// Side in pixels.
        chip_px: i64,
        /// What libtorch says.
        cause: String,
    },
    /// Its answers have another shape.
    #[error(
        "the module answers {found:?} for {TRIED_CHIPS} chips, which does not fit the label: \
         wanted {wanted:?}; try: {next}"
    )]
    Shape {
        /// Shape of its answers.
        found: Vec<i64>,
        /// Shape of the label.
        wanted: Vec<i64>,
        /// What may help.
        next: &'static str,
    },
    /// Its answers do not depend on its weights.
    #[error(
        "the module's answers do not depend on parameters that learn; try: forward without \
         torch.no_grad"
    )]
    Detached,
    /// It remembers batches elsewhere than in parameters.
    #[error(
        "the module changes buffers while it learns (as batch normalisation does), which no \
         checkpoint of it would hold; try: remembered(module) of python/examples/torchscript_map.py, \
         or GroupNorm"
    )]
    Buffers,
    /// It cannot be written.
    #[error(transparent)]
    Script(#[from] TorchScriptError),
}

/// Opens a file as a module with its weights.
///
/// # Errors
/// No TorchScript, or no weights that can be learned.
pub fn open(file: &[u8], device: Device) -> Result<Opened, ModuleError> {
    let not_script = |e: tch::TchError| ModuleError::NotScript(cause(&e.to_string()));
    let script = CModule::load_data_on_device(&mut &*file, device).map_err(not_script)?;
    let named = script.named_parameters().map_err(not_script)?;
    let mut weights: Vec<(String, Tensor, bool)> = Vec::with_capacity(named.len());
    for (name, tensor) in named {
        let kind = tensor.kind();
        if kind != Kind::Float {
            return Err(ModuleError::Kind { name, kind });
        }
        let same = |other: &&(String, Tensor, bool)| other.1.data_ptr() == tensor.data_ptr();
        if let Some((other, ..)) = weights.iter().filter(|w| w.1.numel() > 0).find(same) {
            return Err(ModuleError::Shared(other.clone(), name));
        }
        let learns = tensor.requires_grad();
        weights.push((name, tensor, learns));
    }
    if !weights.iter().any(|(_, _, learns)| *learns) {
        return Err(ModuleError::Fixed);
    }
    Ok(Opened { script, weights })
}

/// Tries a module on chips of a side.
///
/// # Errors
/// See [`ModuleError`].
pub fn tried(module: &Module, file: &[u8], chip_px: i64) -> Result<(), ModuleError> {
    let Opened {
        mut script,
        weights,
    } = open(file, Device::Cpu)?;
    let bands = module.inputs().len();
    let shape = [
        TRIED_CHIPS,
        i64::try_from(bands).unwrap_or(1),
        chip_px,
        chip_px,
    ];
    let count = shape.iter().product::<i64>();
    let chips = Tensor::arange(count, (Kind::Float, Device::Cpu));
    let chips = chips.sin().reshape(shape);
    let failed = |e: tch::TchError| ModuleError::Chips {
        bands,
        chip_px,
        cause: cause(&e.to_string()),
    };
    script.f_set_eval().map_err(failed)?;
    let answers = script.forward_ts(&[&chips]).map_err(failed)?;
    check_shape(module, &answers.size(), chip_px)?;
    script.f_set_train().map_err(failed)?;
    let before = bytes_of(&script)?;
    let copies: Vec<Tensor> = without_gradients(|| weights.iter().map(|w| w.1.copy()).collect());
    let answers = script.forward_ts(&[&chips]).map_err(failed)?;
    check_shape(module, &answers.size(), chip_px)?;
    if !answers.requires_grad() {
        return Err(ModuleError::Detached);
    }
    drop(answers);
    // What it remembers in parameters is kept: only what it changed beside them is looked for.
    without_gradients(|| {
        for ((_, mut weight, _), copy) in weights.into_iter().zip(&copies) {
            weight.copy_(copy);
        }
    });
    if bytes_of(&script)? != before {
        return Err(ModuleError::Buffers);
    }
    Ok(())
}

/// Checks the shape of answers; axes of one number may be left out.
fn check_shape(module: &Module, found: &[i64], chip_px: i64) -> Result<(), ModuleError> {
    let wanted = module.shape(TRIED_CHIPS, chip_px);
    let bare = |shape: &[i64]| -> Vec<i64> {
        let rest = shape.iter().skip(1).copied().filter(|n| *n != 1);
        shape.first().copied().into_iter().chain(rest).collect()
    };
    if bare(found) == bare(&wanted) {
        return Ok(());
    }
    let next = match (module.wish().answer, module.wish().classes) {
        (Answers::Map, Some(_)) => "--classes N with N bands answered, at the side of the chip",
        (Answers::Map, None) => "--answer number, or one band answered at the side of the chip",
        (Answers::Number, _) => "--answer map, or one number answered a chip",
    };
    let found = found.to_vec();
    Err(ModuleError::Shape {
        found,
        wanted,
        next,
    })
}

/// Picks out of libtorch's words the line that says why.
fn cause(text: &str) -> String {
    // The words are quoted by who brings them, so that their lines end in two characters.
    let text = text.replace("\\n", "\n");
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told = lines().find_map(|line| line.split_once("Error: ").map(|(_, told)| told));
    let told = told.or_else(|| lines().next()).unwrap_or_default();
    told.chars().take(CAUSE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn of_libtorchs_words_the_reason_is_told() {
        let words = "Torch(\"The following operation failed\\nTraceback:\\n  File \\n\\n\
                     RuntimeError: Given groups=1, expected 4 channels\\nException raised from\")";
        assert_eq!(cause(words), "Given groups=1, expected 4 channels");
        assert_eq!(cause("no archive\nframe #0"), "no archive");
    }
}
