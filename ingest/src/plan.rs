//! What is cut from a scene: cells, groups of bands, and strips of cells that are read together.
//!
//! *Invariants*: every cell that the scene's rasters touch is in exactly one strip; the pixels a
//! strip reads stay below `STRIP_BYTES_MAX` unless a single cell needs more.
//!
//! *Not here*: reading and reprojecting (`strip`), measuring (`measure`).

use earth::geocode::{Geocode, Scheme, cover};
use earth::grid::{Grid, ResolutionError};
use earth::raster::georef::{Georef, PixelWindow};
use earth::raster::reproject::{Kernel, Warp};
use earth::raster::swath::Place;
use earth::split::meta::SampleType;
use wire::fault::{Fault, FaultKind};

use crate::source::{Layer, Mask, Scene, footprint, show};

/// Greatest number of bytes that the bands of one group bring into memory at once. A row of
/// geohash-5 cells across a full Sentinel-2 tile needs about 90 MiB at 10 m.
pub const STRIP_BYTES_MAX: u64 = 256 << 20;

/// Bands that are read and reprojected together: one resolution, place, sample type and fill.
#[derive(Debug, Clone)]
pub struct Group {
    /// Nominal resolution in metres.
    pub resolution_m: f64,
    /// The value that means "nothing" in the source, where it declares one.
    pub fill: Option<f64>,
    /// How pixels are stored.
    pub sample: SampleType,
    /// How pixels are found.
    pub kernel: Kernel,
    /// Where the delivered rasters lie.
    pub place: Place,
    /// Indexes into the scene's layers.
    pub layers: Vec<usize>,
}

impl Group {
    /// Returns the group of a mask that is read onto a grid of another resolution.
    pub fn of_mask(mask: &Mask, resolution_m: f64) -> Self {
        Self {
            resolution_m,
            fill: mask.layer.fill,
            sample: mask.layer.sample,
            kernel: Kernel::Nearest,
            place: mask.layer.image.georef().clone(),
            layers: Vec::new(),
        }
    }

    fn takes(&self, layer: &Layer) -> bool {
        same(self.resolution_m, layer.resolution_m)
            && self.sample == layer.sample
            && self.fill.map(f64::to_bits) == layer.fill.map(f64::to_bits)
            && self.kernel == kernel(layer)
            && self.place == *layer.image.georef()
    }

    fn bytes_per_pixel(&self) -> u64 {
        (self.layers.len() * self.sample.bytes()) as u64
    }
}

/// Cells that lie side by side and are read together.
pub type Strip = Vec<Geocode>;

/// What is cut from a scene.
#[derive(Debug)]
pub struct Plan {
    /// Groups of bands, finest first, classes after pixels of their resolution.
    pub groups: Vec<Group>,
    /// All cells, in text order.
    pub cells: Vec<Geocode>,
}

/// Plans a scene along the cells of a precision.
pub fn plan(scene: &Scene, scheme: Scheme, precision: u8) -> Result<Plan, Fault> {
    let lost = |reason: String| {
        let what = format!("'{}' cannot be cut along {scheme} cells", scene.name);
        Fault::new(FaultKind::Data, what).because(reason)
    };
    let area = footprint::outline(scene.layers.iter()).map_err(lost)?;
    let cells = cover::of_polygon(scheme, precision, &area).map_err(|e| lost(e.to_string()))?;
    let groups = groups(&scene.layers);
    Ok(Plan { groups, cells })
}

/// Returns how a layer's pixels are found between pixel centres.
fn kernel(layer: &Layer) -> Kernel {
    if layer.categorical {
        Kernel::Nearest
    } else {
        Kernel::Bilinear
    }
}

/// Tells whether two resolutions are the same.
#[expect(
    clippy::float_cmp,
    reason = "resolutions are declared or rounded numbers, not results"
)]
pub(crate) fn same(a: f64, b: f64) -> bool {
    a == b
}

/// Sorts layers into files; the order of bands inside a file is the scene's.
fn groups(layers: &[Layer]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        if let Some(group) = groups.iter_mut().find(|g| g.takes(layer)) {
            group.layers.push(i);
            continue;
        }
        groups.push(Group {
            resolution_m: layer.resolution_m,
            fill: layer.fill,
            sample: layer.sample,
            kernel: kernel(layer),
            place: layer.image.georef().clone(),
            layers: vec![i],
        });
    }
    groups.sort_by(|a, b| {
        let classes = (a.kernel == Kernel::Nearest).cmp(&(b.kernel == Kernel::Nearest));
        a.resolution_m.total_cmp(&b.resolution_m).then(classes)
    });
    groups
}

impl Plan {
    /// Returns the strips of some of the plan's cells, from north to south and west to east.
    pub fn strips(&self, cells: &[Geocode]) -> Result<Vec<Strip>, Fault> {
        let mut cells = cells.to_vec();
        cells.sort_by_key(|c| (c.index().row, c.index().column));
        let mut strips: Vec<Strip> = Vec::new();
        let mut windows = Windows::none(&self.groups);
        for cell in cells {
            let own = Windows::of(&self.groups, &cell)?;
            let both = windows.joined(&own);
            let same_row = |s: &Strip| s.last().is_some_and(|l| l.index().row == cell.index().row);
            match strips.last_mut().filter(|s| same_row(s)) {
                Some(strip) if both.bytes(&self.groups) <= STRIP_BYTES_MAX => {
                    strip.push(cell);
                    windows = both;
                }
                _ => {
                    strips.push(vec![cell]);
                    windows = own;
                }
            }
        }
        Ok(strips)
    }
}

/// The pixels that cells need of each group.
struct Windows(Vec<Option<PixelWindow>>);

impl Windows {
    fn none(groups: &[Group]) -> Self {
        Self(vec![None; groups.len()])
    }

    fn of(groups: &[Group], cell: &Geocode) -> Result<Self, Fault> {
        let window = |g: &Group| Ok(warp(g, cell, g.resolution_m)?.map(|w| w.window()));
        groups
            .iter()
            .map(window)
            .collect::<Result<_, Fault>>()
            .map(Self)
    }

    fn joined(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(a, b)| join(*a, *b))
                .collect(),
        )
    }

    /// Returns the bytes of the largest group: groups are read one after another.
    fn bytes(&self, groups: &[Group]) -> u64 {
        let pixels = |w: &PixelWindow| u64::from(w.width) * u64::from(w.height);
        let bytes = |(w, g): (&Option<PixelWindow>, &Group)| {
            w.as_ref().map_or(0, pixels) * g.bytes_per_pixel()
        };
        self.0.iter().zip(groups).map(bytes).max().unwrap_or(0)
    }
}

/// Returns the smallest window that holds both.
pub fn join(a: Option<PixelWindow>, b: Option<PixelWindow>) -> Option<PixelWindow> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    let (column, row) = (a.column.min(b.column), a.row.min(b.row));
    let right = (a.column + a.width).max(b.column + b.width);
    let bottom = (a.row + a.height).max(b.row + b.height);
    Some(PixelWindow {
        column,
        row,
        width: right - column,
        height: bottom - row,
    })
}

/// Returns the fixed grid of a cell.
pub fn grid(cell: &Geocode, resolution_m: f64) -> Result<Grid, Fault> {
    Grid::of(cell, resolution_m).map_err(|e: ResolutionError| {
        Fault::new(FaultKind::Data, "the scene's pixels fit no grid").because(e.to_string())
    })
}

/// Plans the reprojection of a group onto a cell's grid; `None` where they do not touch.
pub fn warp(group: &Group, cell: &Geocode, resolution_m: f64) -> Result<Option<Warp>, Fault> {
    let target = Georef::from(&grid(cell, resolution_m)?);
    Warp::plan_place(&group.place, &target, group.kernel).map_err(|e| {
        Fault::new(
            FaultKind::Data,
            format!("the scene cannot be reprojected onto cell {cell}"),
        )
        .because(e.to_string())
        .try_("gdalwarp it to its UTM zone")
    })
}

/// Says that a scene touches no cell: its extent has no area.
pub fn no_cells(scene: &Scene) -> Fault {
    let source = show(std::path::Path::new(&scene.source));
    Fault::new(FaultKind::Data, format!("{source} touches no cell"))
        .because("its extent has no area")
        .try_("gdalinfo shows where it lies")
}
