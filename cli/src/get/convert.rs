//! Splits written as another format: each by itself, or the dates of a cell as one cube.
//!
//! Names in the folder: `COLLECTION+SCENE~CELL_r10.EXT` for one split's bands of 10 m,
//! `COLLECTION~CELL_r10.EXT` for all dates of a cell, `COLLECTION~CELL.h5` for all resolutions too.
//!
//! *Invariants*: names depend on nothing but the split and the format.
//!
//! *Not here*: bytes of formats (`export`), pictures (`pictures`), cubes with regular steps.

use std::collections::BTreeMap;

use earth::cube::{Cube, Slice, stack};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;

use crate::args::Get;
use crate::export::{self, Existing, Format, Keyed, Written};
use crate::get::report::{Made, Report};
use crate::get::slices::{GridSlice, Wanted, fetch};
use crate::get::stem;

/// Most decoded bytes of one cube: what a laptop holds beside everything else.
const CUBE_BYTES_MAX: u64 = 4 << 30;

/// Writes splits as a format.
pub(super) async fn get(
    client: &Client,
    hits: &[Hit],
    (args, format): (&Get, Format),
    report: &mut Report<'_>,
) -> Result<(), Fault> {
    let wanted = Wanted(args.bands.clone());
    wanted.check(hits)?;
    for (name, members) in groups(hits, format) {
        let ids = members.iter().map(|h| h.id.to_string()).collect();
        let job = Job {
            client,
            wanted: &wanted,
            args,
            format,
        };
        match job.write(&name, &members).await {
            Ok(made) => {
                let files = made.files.clone();
                report.made(made, &files);
            }
            Err(fault) => report.failed(ids, fault)?,
        }
    }
    Ok(())
}

/// Returns which splits go together under which name.
fn groups(hits: &[Hit], format: Format) -> BTreeMap<String, Vec<&Hit>> {
    let mut groups: BTreeMap<String, Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        let name = if format.gathers_dates() {
            format!("{}~{}", hit.collection, hit.geocode)
        } else {
            stem(hit)
        };
        groups.entry(name).or_default().push(hit);
    }
    groups
}

/// What is the same for all groups.
struct Job<'a> {
    client: &'a Client,
    wanted: &'a Wanted,
    args: &'a Get,
    format: Format,
}

impl Job<'_> {
    /// Writes one group: a cube for each resolution.
    async fn write(&self, name: &str, hits: &[&Hit]) -> Result<Made, Fault> {
        self.check_size(hits)?;
        let mut slices: Vec<GridSlice> = Vec::new();
        for hit in hits {
            slices.extend(fetch(self.client, hit, self.wanted).await?);
        }
        let made = tokio::task::block_in_place(|| self.cubes(name, slices))?;
        Ok(Made {
            splits: hits.iter().map(|h| h.id.to_string()).collect(),
            ..made
        })
    }

    fn check_size(&self, hits: &[&Hit]) -> Result<(), Fault> {
        let band_bytes = |hit: &&Hit| -> u64 {
            let bands = self.wanted.of(hit).into_iter();
            bands
                .filter_map(|b| {
                    let asset = hit.assets.get(&b.asset)?;
                    let pixels = u64::from(asset.width) * u64::from(asset.height);
                    Some(pixels * b.sample.bytes() as u64)
                })
                .sum()
        };
        let bytes: u64 = hits.iter().map(band_bytes).sum();
        if bytes <= CUBE_BYTES_MAX {
            return Ok(());
        }
        let what = format!(
            "{} splits of one cell are too large for one cube",
            hits.len()
        );
        let limit = crate::print::bytes(CUBE_BYTES_MAX);
        Err(Fault::new(FaultKind::Usage, what)
            .because(format!(
                "{} of pixels; {limit} at most",
                crate::print::bytes(bytes)
            ))
            .try_("--bands or --datetime, to take fewer"))
    }

    /// Stacks slices of each resolution and writes them.
    fn cubes(&self, name: &str, slices: Vec<GridSlice>) -> Result<Made, Fault> {
        let mut cubes = Vec::new();
        for (resolution, slices) in by_resolution(slices) {
            let cube = stack(slices).map_err(|e| unstackable(name).because(e.to_string()))?;
            let cube = if self.args.physical {
                cube.to_physical()
            } else {
                cube
            };
            cubes.push((resolution, cube));
        }
        if cubes.is_empty() {
            let what = format!("{name} has none of the wanted bands");
            return Err(Fault::new(FaultKind::Nothing, what).try_("other --bands"));
        }
        let mut made = Made {
            splits: Vec::new(),
            format: format!("{:?}", self.format).to_lowercase(),
            files: Vec::new(),
            bytes: 0,
        };
        for written in self.files(name, &cubes)? {
            made.files.extend(written.files);
            made.bytes += written.bytes;
        }
        Ok(made)
    }

    /// Writes a file for each resolution, or one for all where the format has keys.
    fn files(&self, name: &str, cubes: &[(String, Cube)]) -> Result<Vec<Written>, Fault> {
        let existing = existing(self.args);
        let extension = self.format.extension();
        let target = |end: &str| self.args.out.join(format!("{name}{end}.{extension}"));
        if self.format == Format::Hdf5 {
            let key = |(resolution, cube)| (format!("{resolution}m"), cube);
            let keyed: Vec<Keyed<'_>> = cubes.iter().map(|(r, c)| key((r, c))).collect();
            return Ok(vec![export::grids(&keyed, &target(""), existing)?]);
        }
        let each = cubes.iter().map(|(resolution, cube)| {
            let target = target(&format!("_r{resolution}"));
            export::write(cube, &target, self.format, existing)
        });
        each.collect()
    }
}

/// Returns what becomes of files that are there.
pub(super) fn existing(args: &Get) -> Existing {
    if args.overwrite {
        Existing::Replace
    } else {
        Existing::Keep
    }
}

/// Returns slices of one resolution together, finest first.
fn by_resolution(slices: Vec<GridSlice>) -> Vec<(String, Vec<Slice>)> {
    let mut found: Vec<(f64, Vec<Slice>)> = Vec::new();
    for GridSlice {
        resolution_m,
        slice,
    } in slices
    {
        match found
            .iter_mut()
            .find(|(r, _)| (r - resolution_m).abs() <= 0.0)
        {
            Some((_, together)) => together.push(slice),
            None => found.push((resolution_m, vec![slice])),
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(r, s)| (r.to_string(), s)).collect()
}

fn unstackable(name: &str) -> Fault {
    Fault::new(FaultKind::Data, format!("the dates of {name} make no cube"))
}
