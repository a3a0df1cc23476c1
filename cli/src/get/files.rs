//! A split's own files, each split in its folder.
//!
//! *Invariants*: a file that is there with the right hash is not fetched again, nor is the
//! beginning of one whose download broke off.
//!
//! *Not here*: other formats (`convert`).

use std::path::Path;

use wire::client::{Client, Rest};
use wire::fault::Fault;
use wire::hit::Hit;
use wire::params::AssetParams;

use crate::args::Get;
use crate::download;
use crate::export;
use crate::get::report::{Made, Report};
use crate::get::stem;

/// Downloads splits, one after another.
pub(super) async fn get(
    client: &Client,
    hits: &[Hit],
    args: &Get,
    report: &mut Report<'_>,
) -> Result<(), Fault> {
    for hit in hits {
        let folder = args.out.join(stem(hit));
        let id = vec![hit.id.to_string()];
        match split(client, hit, &folder, args.overwrite).await {
            Err(fault) => report.failed(id, fault)?,
            Ok(bytes) => {
                let files = hit.assets.keys().map(|name| folder.join(name)).collect();
                let made = Made {
                    splits: id,
                    format: "split".to_owned(),
                    files,
                    bytes,
                };
                report.made(made, &[folder]);
            }
        }
    }
    Ok(())
}

/// Downloads one split into its own folder; returns its bytes.
pub(super) async fn split(
    client: &Client,
    hit: &Hit,
    folder: &Path,
    overwrite: bool,
) -> Result<u64, Fault> {
    let mut total = 0;
    for (name, asset) in &hit.assets {
        let target = folder.join(name);
        match download::is_whole(&target, &asset.blake3)? {
            Some(true) => {
                total += asset.bytes;
                continue;
            }
            Some(false) if !overwrite => return Err(export::taken(&target)),
            Some(false) | None => {}
        }
        let wanted = AssetParams {
            id: hit.id.to_string(),
            asset: name.clone(),
        };
        let blake3 = &asset.blake3;
        let rest = |offset| client.asset_rest(&wanted, Rest { offset, blake3 });
        total += download::file(rest, (folder, name), blake3).await?;
    }
    Ok(total)
}
