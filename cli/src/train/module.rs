//! A user's module: read, named by its hash, put into the ring before the run that learns with it.
//!
//! *Invariants*: its bytes are never decoded here; the run names it by the last part of its path.
//!
//! *Not here*: what may be wished of it (`wire::module`), opening it (trainer).

use std::path::PathBuf;

use bytes::Bytes;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::module::{BYTES_MAX, Module, PREFIX};
use wire::object::PutParams;

use crate::args::Train;

/// A module on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// `torchscript:NAME`, as the run names it.
    pub(crate) recipe: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// What is learned with it.
    pub(crate) wish: Module,
    file: Bytes,
}

impl Local {
    /// Reads the module that a command names; none if it names another recipe.
    pub(crate) fn of(args: &Train) -> Result<Option<Self>, Fault> {
        let usage = |what: &str| Fault::new(FaultKind::Usage, what.to_owned());
        let Some(path) = args.recipe.strip_prefix(PREFIX) else {
            if args.module.is_any() {
                let what =
                    "--inputs, --label, --answer, --loss and --classes say what a module learns";
                return Err(usage(what)
                    .because(format!("{} knows that itself", args.recipe))
                    .try_("glebe train torchscript:FILE.pt, or without them"));
            }
            return Ok(None);
        };
        let label = args
            .module
            .label
            .clone()
            .filter(|_| !args.module.inputs.is_empty());
        let Some(label) = label else {
            return Err(usage("what the module learns from what is not said")
                .because("a TorchScript file names no bands")
                .try_("--inputs red,green,blue --label nir"));
        };
        let path = PathBuf::from(path);
        let unread = |reason: String| {
            let what = format!("{} is no module that can be read", path.display());
            let fault = Fault::new(FaultKind::Usage, what).because(reason);
            fault.try_("torch.jit.script(module).save(\"FILE.pt\") in PyTorch")
        };
        let meta = std::fs::metadata(&path).map_err(|e| unread(e.to_string()))?;
        if !meta.is_file() || meta.len() == 0 || meta.len() > BYTES_MAX {
            let mebibytes = BYTES_MAX >> 20;
            return Err(unread(format!(
                "it is no file of 1 byte to {mebibytes} MiB"
            )));
        }
        let file = std::fs::read(&path).map_err(|e| unread(e.to_string()))?;
        let wish = Module {
            blake3: blake3::hash(&file).to_hex().to_string(),
            bytes: file.len() as u64,
            inputs: args.module.inputs.clone(),
            label,
            answer: args.module.answer(),
            loss: args.module.loss(),
            classes: args.module.classes,
        };
        wish.check()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Some(Self {
            recipe: format!("{PREFIX}{name}"),
            wish,
            file: Bytes::from(file),
            path,
        }))
    }

    /// Puts it into the ring; what is there already is the same.
    pub(crate) async fn put(&self, client: &Client) -> Result<(), Fault> {
        let bundle = self.wish.bundle(self.file.clone())?;
        client.put(&bundle, &PutParams::default()).await.map(drop)
    }
}
