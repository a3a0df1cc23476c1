//! A user's module: read, named by its hash, put into the ring before the run that learns with it.
//!
//! *Invariants*: its bytes are never decoded here; the run names it by the last part of its path;
//! bands that no split has are refused before it travels, in dry runs, too, where all splits of the
//! run were looked at.
//!
//! *Not here*: what may be wished of it (`wire::module`), opening it (trainer).

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use query::Query;
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::module::{BYTES_MAX, Module, PREFIX};
use wire::object::PutParams;
use wire::search::SearchEnd;

use crate::args::Train;
use crate::search;

/// Splits that are looked at for bands: one dataset's differ little, these are told in a second.
const LOOKED_AT_MAX: u64 = 1_000;

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

    /// Refuses bands that none of the splits has which a run is about to learn from.
    pub(crate) async fn check_bands(&self, client: &Client, query: &Query) -> Result<(), Fault> {
        let most = query.limit.unwrap_or(u64::MAX).min(LOOKED_AT_MAX + 1);
        let few = Query {
            limit: Some(most),
            ..query.clone()
        };
        let (hits, end) = search::collect(client, few).await?;
        check_hits(&self.wish, &hits, &end)
    }

    /// Puts it into the ring; what is there already is the same.
    pub(crate) async fn put(&self, client: &Client) -> Result<(), Fault> {
        let bundle = self.wish.bundle(self.file.clone())?;
        client.put(&bundle, &PutParams::default()).await.map(drop)
    }
}

/// Checks that some of the splits found have the bands. Those that were not looked at may: then it
/// is each cell's job that says what its own splits lack.
fn check_hits(wish: &Module, hits: &[Hit], end: &SearchEnd) -> Result<(), Fault> {
    let are_all = end.complete && hits.len() as u64 <= LOOKED_AT_MAX;
    if !are_all {
        return Ok(());
    }
    let bands = hits.iter().flat_map(|hit| &hit.bands);
    let names = bands.flat_map(|band| [Some(&band.name), band.common.as_ref()]);
    let names: BTreeSet<&str> = names.flatten().map(String::as_str).collect();
    check_among(wish, &names)
}

/// Checks that bands have these names; none at all is another fault than a wrong one.
fn check_among(wish: &Module, names: &BTreeSet<&str>) -> Result<(), Fault> {
    let is_there = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let wanted = wish.inputs.iter().chain([&wish.label]);
    let Some(lacking) = { wanted }.find(|name| !names.is_empty() && !is_there(name)) else {
        return Ok(());
    };
    let names: Vec<&str> = names.iter().copied().collect();
    let what = format!("no split has a band '{lacking}'");
    Err(Fault::new(FaultKind::Usage, what)
        .because(format!("there are {}", names.join(", ")))
        .try_("--inputs and --label with names among these, or --dataset with another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(label: &str) -> Module {
        Module {
            blake3: String::new(),
            bytes: 1,
            inputs: vec!["red".to_owned(), "b08".to_owned()],
            label: label.to_owned(),
            answer: wire::module::Answer::Map,
            loss: wire::module::Loss::Mse,
            classes: None,
        }
    }

    /// Splits beyond the first thousand had the band, and all were said to lack it.
    #[test]
    fn a_band_is_only_said_to_be_nowhere_where_every_split_was_looked_at() {
        let line = include_str!("../../../wire/tests/golden/search-line-hit.json");
        let wire::search::SearchLine::Hit(hit) = serde_json::from_str(line).unwrap() else {
            unreachable!("it is a hit");
        };
        let most = usize::try_from(LOOKED_AT_MAX).unwrap();
        let of = |count: usize, complete| {
            let end = SearchEnd {
                complete,
                ..SearchEnd::default()
            };
            check_hits(&wish("swir99"), &vec![(*hit).clone(); count], &end)
        };
        for count in [1, most] {
            let fault = of(count, true).unwrap_err();
            assert!(fault.what.contains("no split has a band"), "{fault}");
        }
        of(most + 1, true).unwrap();
        of(1, false).unwrap();
    }

    #[test]
    fn a_band_that_no_split_has_is_refused_with_those_that_there_are() {
        let names = ["B04", "red", "B08", "nir"].into();
        check_among(&wish("nir"), &names).unwrap();
        let fault = check_among(&wish("swir99"), &names).unwrap_err();
        assert_eq!(fault.what, "no split has a band 'swir99'");
        assert_eq!(fault.because, ["there are B04, B08, nir, red"]);
        // Where nothing matches, that is what is told.
        check_among(&wish("swir99"), &BTreeSet::new()).unwrap();
    }
}
