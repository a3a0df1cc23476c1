//! What came of a composition: the image as a split in form, and what each split gave.
//!
//! *Invariants*: shares are 0..=1; coverage is counted as everywhere, valid / all pixels pooled
//! over bands that are no classes; a cloud share that is not known of every pixel used, neither
//! from a mask nor from its split, is `None`.
//!
//! *Not here*: percent and words (wire).

use jiff::Timestamp;

use super::bands::{Wanted, WantedBand};
use super::{ComposeError, Limits, PROVENANCE, Wish, is_measured};
use crate::geocode::Geocode;
use crate::grid::Grid;
use crate::raster::cloud::Sky;
use crate::raster::pixel::Pixel;
use crate::raster::reproject::Warped;
use crate::raster::splice::{Overlay, Plan, Plane, Spliced};
use crate::raster::{Raster, Samples};
use crate::split::cut::{BandCut, BandLabel, Cut};
use crate::split::meta::{META_VERSION, MaskCounts, SplitId, SplitMeta};
use crate::split::placement::PlacementRule;

/// Slack of the comparison with limits: less than one pixel in 10^8.
const SLACK: f64 = 1e-9;

/// What one split gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The split.
    pub id: SplitId,
    /// Its sensing time.
    pub acquired: Timestamp,
    /// Its own share of valid pixels.
    pub coverage: f64,
    /// Its own share of clouds, where known.
    pub cloud: Option<f64>,
    /// Pixels of the image that are its own, or that it had a part in (`Rule::Median`).
    pub used: u64,
    /// Coverage of the image before it was added, and after.
    pub grew: (f64, f64),
}

/// A composed image.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// Metadata of a split in form; files and checksums are not filled in.
    pub meta: SplitMeta,
    /// Files and bands, provenance last.
    pub cut: Cut,
    /// Splits looked at, in order: the first is provenance 1.
    pub parts: Vec<Part>,
    /// Share of valid pixels.
    pub coverage: f64,
    /// Share of clouds in what is used, where known.
    pub cloud: Option<f64>,
    /// The limits are reached.
    pub reached: bool,
    /// Clouds are known pixel by pixel, of every pixel.
    pub sky_known: bool,
}

/// What a composition is about.
pub(super) struct About<'a> {
    pub wish: &'a Wish,
    pub cell: Geocode,
    pub dataset: &'a str,
    pub grid: &'a Grid,
    pub wanted: &'a Wanted,
}

/// Coverage and clouds of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    coverage: f64,
    cloud: Option<f64>,
    judged: u64,
    cloudy: u64,
    filled: u64,
}

impl Measure {
    /// Tells whether the image is good enough.
    pub(super) fn reaches(&self, limits: &Limits) -> bool {
        let clear = |max: f64| self.cloud.is_some_and(|c| c <= max + SLACK);
        self.coverage >= limits.coverage_min - SLACK && limits.cloud_max.is_none_or(clear)
    }
}

/// What was added so far.
#[derive(Debug)]
pub(super) struct Progress {
    parts: Vec<Part>,
    /// Pixels that any scene shows, while the image is not yet made.
    shown: Vec<bool>,
}

impl Progress {
    pub(super) fn new(pixels: usize) -> Self {
        Self {
            parts: Vec::new(),
            shown: vec![false; pixels],
        }
    }

    /// Notes a split that was laid under the image.
    pub(super) fn grown(&mut self, split: &SplitMeta, plan: &Plan, image: &Overlay) {
        self.note(split, coverage(plan, image.planes()));
    }

    /// Notes a split that waits to be combined, and the pixels that it shows.
    pub(super) fn joined(&mut self, split: &SplitMeta, shows: &[bool]) {
        let seen = self.shown.iter_mut().zip(shows);
        seen.for_each(|(shown, shows)| *shown |= shows);
        let shown = self.shown.iter().filter(|s| **s).count();
        self.note(split, shown as f64 / self.shown.len().max(1) as f64);
    }

    fn note(&mut self, split: &SplitMeta, after: f64) {
        let before = self.parts.last().map_or(0.0, |p| p.grew.1);
        self.parts.push(Part {
            id: split.id.clone(),
            acquired: split.acquired,
            coverage: split.counts.coverage(),
            cloud: split.counts.cloud(),
            used: 0,
            grew: (before, after),
        });
    }

    /// Measures an image that grows.
    pub(super) fn measure_overlay(&self, plan: &Plan, image: &Overlay) -> Measure {
        let seen = Seen {
            planes: image.planes(),
            sky: image.sky(),
            provenance: image.provenance(),
        };
        self.measure(plan, &seen, &image.used())
    }

    /// Measures an image; `used` are the pixels that each part gave.
    fn measure(&self, plan: &Plan, seen: &Seen<'_>, used: &[u64]) -> Measure {
        let (mut judged, mut cloudy, mut filled) = (0, 0, 0);
        for (sky, from) in seen.sky.iter().zip(seen.provenance) {
            filled += u64::from(*from > 0);
            judged += u64::from(*sky != Sky::Void);
            cloudy += u64::from(*sky == Sky::Cloud);
        }
        Measure {
            coverage: coverage(plan, seen.planes),
            cloud: self.cloud((filled, judged, cloudy), used),
            judged,
            cloudy,
            filled,
        }
    }

    /// Returns the share of clouds: pixels that a mask judged as it says, others by the share of
    /// their splits.
    fn cloud(&self, (filled, judged, cloudy): (u64, u64, u64), used: &[u64]) -> Option<f64> {
        if filled == 0 {
            return None;
        }
        let unjudged = filled - judged.min(filled);
        let mut expected = cloudy as f64;
        if unjudged > 0 {
            let parts = self.parts.iter().zip(used).filter(|(_, used)| **used > 0);
            let (mut weight, mut sum) = (0.0, 0.0);
            for (part, used) in parts {
                weight += *used as f64;
                sum += part.cloud? * *used as f64;
            }
            expected += unjudged as f64 * sum / weight;
        }
        Some(expected / filled as f64)
    }

    /// Makes the image a split in form.
    pub(super) fn finish(
        mut self,
        about: &About<'_>,
        plan: &Plan,
        spliced: Spliced,
    ) -> Result<Composed, ComposeError> {
        let seen = Seen {
            planes: &spliced.planes,
            sky: &spliced.sky,
            provenance: &spliced.provenance,
        };
        let measure = self.measure(plan, &seen, &spliced.used);
        for (part, used) in self.parts.iter_mut().zip(&spliced.used) {
            part.used = *used;
        }
        let cut = about.cut(spliced);
        let meta = about.meta(&self.parts, &cut, &measure)?;
        Ok(Composed {
            meta,
            cut,
            coverage: measure.coverage,
            cloud: measure.cloud,
            reached: measure.reaches(&about.wish.limits),
            sky_known: measure.filled > 0 && measure.judged >= measure.filled,
            parts: self.parts,
        })
    }
}

/// An image, as it is measured.
struct Seen<'a> {
    planes: &'a [Plane],
    sky: &'a [Sky],
    provenance: &'a [u16],
}

/// Returns valid / all pixels, pooled over measured bands; over all if there are none.
fn coverage(plan: &Plan, planes: &[Plane]) -> f64 {
    let classes_only = !plan.bands.iter().any(|b| is_measured(b.role));
    let (mut valid, mut all) = (0_usize, 0_usize);
    for (plane, band) in planes.iter().zip(&plan.bands) {
        if classes_only || is_measured(band.role) {
            valid += plane.valid.iter().filter(|v| **v).count();
            all += plane.valid.len();
        }
    }
    valid as f64 / all.max(1) as f64
}

impl About<'_> {
    /// Returns the image with its provenance.
    fn cut(&self, spliced: Spliced) -> Cut {
        let resolution_m = self
            .wish
            .resolution_m
            .unwrap_or_else(|| self.wanted.finest_m());
        let shown = |(band, plane): (&WantedBand, Plane)| {
            (!band.hidden).then(|| {
                let label = BandLabel {
                    resolution_m,
                    ..band.label.clone()
                };
                self.band(label, plane, None)
            })
        };
        let planes = self.wanted.bands.iter().zip(spliced.planes);
        let mut bands: Vec<BandCut> = planes.filter_map(shown).collect();
        let valid = spliced.provenance.iter().map(|p| *p > 0).collect();
        let (width, height) = (self.grid.width(), self.grid.height());
        let provenance = Plane {
            raster: Raster::counted(width, height, Samples::U16(spliced.provenance)),
            valid,
        };
        let label = BandLabel {
            name: PROVENANCE.to_owned(),
            common: None,
            centre_nm: None,
            resolution_m,
            scale: 1.0,
            offset: 0.0,
            categorical: true,
            class_names: Vec::new(),
        };
        bands.push(self.band(label, provenance, Some(0.0)));
        Cut::assemble(bands)
    }

    fn band(&self, label: BandLabel, plane: Plane, fill: Option<f64>) -> BandCut {
        let Plane { raster, valid } = void_floats(plane);
        BandCut {
            label,
            grid: self.grid.clone(),
            warped: Warped {
                in_footprint: raster.pixels(),
                raster,
                valid,
            },
            fill,
        }
    }

    fn meta(&self, parts: &[Part], cut: &Cut, m: &Measure) -> Result<SplitMeta, ComposeError> {
        let used = || parts.iter().filter(|p| p.used > 0);
        let first = parts.first().ok_or(ComposeError::Empty)?;
        let newest = used().map(|p| p.acquired).max().unwrap_or(first.acquired);
        let oldest = used().map(|p| p.acquired).min().unwrap_or(first.acquired);
        let day = |t: Timestamp| t.strftime("%Y%m%d").to_string();
        let scene = format!("{}_{}_{}", self.wish.rule, day(oldest), day(newest));
        let id = SplitId::new(first.id.collection(), &scene, &self.cell);
        let mut sources = blake3::Hasher::new();
        for part in parts {
            sources.update(format!("{} {}\n", self.wish.rule, part.id).as_bytes());
        }
        let mut counts = cut.counts;
        counts.mask = (m.judged > 0).then_some(MaskCounts {
            valid: m.judged,
            cloudy: m.cloudy,
            shadow: None,
            snow: None,
        });
        Ok(SplitMeta {
            version: META_VERSION,
            id: id.unwrap_or_else(|| first.id.clone()),
            dataset: self.dataset.to_owned(),
            platform: None,
            geocode: self.cell,
            placement_key: PlacementRule::Whole.key(&self.cell),
            acquired: newest,
            assets: Vec::new(),
            bands: cut.bands.clone(),
            counts,
            cloud_source: None,
            missing_bands: Vec::new(),
            texture: None,
            source_hash: sources.finalize().to_hex().to_string(),
            software: concat!("glebe ", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }
}

/// Makes pixels of floats that are not valid NaN, whatever they held.
fn void_floats(plane: Plane) -> Plane {
    let (width, height) = (plane.raster.width(), plane.raster.height());
    let samples = match plane.raster.into_samples() {
        Samples::F32(values) => Samples::F32(voided(values, &plane.valid)),
        Samples::F64(values) => Samples::F64(voided(values, &plane.valid)),
        integers => integers,
    };
    Plane {
        raster: Raster::counted(width, height, samples),
        valid: plane.valid,
    }
}

fn voided<T: Pixel>(mut values: Vec<T>, valid: &[bool]) -> Vec<T> {
    let nothing = T::exactly(f64::NAN).unwrap_or_default();
    for (value, _) in values.iter_mut().zip(valid).filter(|(_, valid)| !**valid) {
        *value = nothing;
    }
    values
}
