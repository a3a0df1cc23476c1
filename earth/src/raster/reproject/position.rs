//! Where a target pixel lies in the source raster, in source pixels.
//!
//! Exact at the nodes of 64 × 64 blocks, bicubic between them: over so short a way map
//! projections are cubic to far below `ERROR_MAX`. Each block is checked at five points between
//! nodes; where the check fails (near a pole, at the edge of a projection) the block is
//! transformed pixel by pixel.
//!
//! *Invariants*: NaN where a pixel has no position; exact arithmetic where both systems agree.
//!
//! *Not here*: what is done at the position (`kernel`).

use std::ops::Range;

use crate::crs::{CrsError, Transformer};
use crate::raster::georef::{Georef, PixelWindow};
use crate::raster::reproject::along::Along;
use crate::raster::swath::Place;

/// Greatest error of a coordinate in source pixels.
pub const ERROR_MAX: f64 = 1e-6;

/// Side of a block in target pixels: 16 exact points stand for 4,096.
pub(super) const BLOCK: usize = 64;

/// Nodes along a side of a block.
const NODES: usize = 4;

/// Points of a block between nodes, as shares of its side, where a cubic errs most.
const CHECKS: [(f64, f64); 5] = [
    (0.5, 0.5),
    (0.127, 0.127),
    (0.873, 0.127),
    (0.127, 0.873),
    (0.873, 0.873),
];

/// Points along each edge and across the inside of a rectangle when its bounds are sought.
const SAMPLES: usize = 33;

/// An interval of source positions along each axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    /// Least and greatest column position.
    pub(super) x: (f64, f64),
    /// Least and greatest row position.
    pub(super) y: (f64, f64),
    /// Sampled points that have no position.
    pub(super) void: usize,
}

impl Bounds {
    /// Returns the bounds of points, leaving NaN out; `None` if no point is left.
    pub(super) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let end = (f64::INFINITY, f64::NEG_INFINITY);
        let mut bounds = Self {
            x: end,
            y: end,
            void: 0,
        };
        for (x, y) in points {
            if x.is_nan() || y.is_nan() {
                bounds.void += 1;
                continue;
            }
            bounds.x = (bounds.x.0.min(*x), bounds.x.1.max(*x));
            bounds.y = (bounds.y.0.min(*y), bounds.y.1.max(*y));
        }
        (bounds.void < points.len()).then_some(bounds)
    }
}

/// The map from target pixels to source pixels.
#[derive(Debug)]
pub(super) enum Positions {
    /// Computed from the map of the source.
    Mapped(Box<Mapped>),
    /// Found in a swath of that shape.
    Along {
        along: Along,
        whole: PixelWindow,
        target: Georef,
    },
}

impl Positions {
    pub(super) fn new(source: &Place, target: &Georef) -> Result<Self, CrsError> {
        match source {
            Place::Mapped(source) => Ok(Self::Mapped(Box::new(Mapped::new(source, target)?))),
            Place::Swath(swath) => Ok(Self::Along {
                along: Along::new(swath, target)?,
                whole: swath.whole(),
                target: target.clone(),
            }),
        }
    }

    /// Returns the whole source raster.
    pub(super) fn source(&self) -> PixelWindow {
        match self {
            Self::Mapped(mapped) => mapped.source.whole(),
            Self::Along { whole, .. } => *whole,
        }
    }

    pub(super) fn target(&self) -> &Georef {
        match self {
            Self::Mapped(mapped) => &mapped.target,
            Self::Along { target, .. } => target,
        }
    }

    /// Returns the bounds of all target pixels in the source.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Mapped(mapped) => {
                let target = &mapped.target;
                mapped.bounds(0..target.width as usize, 0..target.height as usize)
            }
            Self::Along { along, .. } => along.bounds(),
        }
    }

    /// Prepares `BLOCK` rows of the target from `first` on.
    pub(super) fn strip(&self, first: usize) -> Strip<'_> {
        match self {
            Self::Mapped(mapped) => Strip::Mapped(mapped.strip(first)),
            Self::Along { along, .. } => Strip::Along(along),
        }
    }
}

/// `BLOCK` rows of the target, ready to be asked.
#[derive(Debug)]
pub(super) enum Strip<'a> {
    Mapped(MappedStrip<'a>),
    Along(&'a Along),
}

impl Strip<'_> {
    /// Writes the source positions of the centres of one row.
    pub(super) fn row(&self, row: usize, xs: &mut [f64], ys: &mut [f64]) {
        match self {
            Self::Mapped(strip) => strip.row(row, xs, ys),
            Self::Along(along) => along.row(row, xs, ys),
        }
    }
}

/// The map from target pixels to source pixels through both systems.
#[derive(Debug)]
pub(super) struct Mapped {
    source: Georef,
    target: Georef,
    transformer: Option<Transformer>,
    /// Longitudes are brought within 180° of this one, for rasters across the antimeridian.
    centre_lon: Option<f64>,
}

impl Mapped {
    fn new(source: &Georef, target: &Georef) -> Result<Self, CrsError> {
        let same = source.crs == target.crs;
        let transformer = if same {
            None
        } else {
            Some(Transformer::new(&target.crs, &source.crs)?)
        };
        let (source, target) = (source.clone(), target.clone());
        let centre_lon = centre_beyond_antimeridian(&source);
        Ok(Self {
            source,
            target,
            transformer,
            centre_lon,
        })
    }

    pub(super) fn source(&self) -> &Georef {
        &self.source
    }

    pub(super) fn target(&self) -> &Georef {
        &self.target
    }

    /// Turns target pixel positions into source pixel positions, exactly; NaN where undefined.
    pub(super) fn exact(&self, points: &mut [(f64, f64)]) {
        for point in &mut *points {
            *point = self.target.affine.to_ground(point.0, point.1);
        }
        if let Some(transformer) = &self.transformer {
            // Undefined points come back as NaN, which every caller reads as "outside".
            transformer.transform_defined(points);
        }
        for (x, y) in points {
            if let Some(centre) = self.centre_lon {
                *x -= ((*x - centre) / 360.0).round() * 360.0;
            }
            (*x, *y) = self.source.affine.to_pixel(*x, *y);
        }
    }

    /// Returns the bounds of a rectangle of target pixels, sampled along its edges and inside.
    pub(super) fn bounds(&self, columns: Range<usize>, rows: Range<usize>) -> Option<Bounds> {
        let place = |range: &Range<usize>, i: usize| {
            range.start as f64 + range.len() as f64 * i as f64 / (SAMPLES - 1) as f64
        };
        let mut points: Vec<_> = (0..SAMPLES * SAMPLES)
            .map(|i| (place(&columns, i % SAMPLES), place(&rows, i / SAMPLES)))
            .collect();
        self.exact(&mut points);
        Bounds::of(&points)
    }

    /// Prepares `BLOCK` rows of the target from `first` on.
    fn strip(&self, first: usize) -> MappedStrip<'_> {
        let columns = if self.transformer.is_some() {
            self.target.width as usize
        } else {
            0
        };
        let blocks = (0..columns)
            .step_by(BLOCK)
            .map(|column| self.block(column, first))
            .collect();
        MappedStrip {
            positions: self,
            first,
            blocks,
        }
    }

    /// Interpolates a block from its upper left pixel; `None` where the check fails.
    fn block(&self, column: usize, row: usize) -> Option<Nodes> {
        let side = BLOCK as f64;
        let at = |u: f64, v: f64| (column as f64 + u * side, row as f64 + v * side);
        let node = |i: usize| i as f64 / (NODES - 1) as f64;
        let mut points: Vec<_> = (0..NODES * NODES)
            .map(|i| at(node(i % NODES), node(i / NODES)))
            .collect();
        points.extend(CHECKS.map(|(u, v)| at(u, v)));
        self.exact(&mut points);
        let (nodes, truth) = points.split_at(NODES * NODES);
        let nodes = Nodes(nodes.try_into().ok()?);
        let close = CHECKS.iter().zip(truth).all(|((u, v), exact)| {
            let (x, y) = nodes.across(*v).at(*u);
            (x - exact.0).abs() < ERROR_MAX && (y - exact.1).abs() < ERROR_MAX
        });
        close.then_some(nodes)
    }
}

/// Returns the middle longitude of a geographic raster that crosses the antimeridian.
fn centre_beyond_antimeridian(source: &Georef) -> Option<f64> {
    if !source.crs.is_geographic() {
        return None;
    }
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let (west, _) = source.affine.to_ground(0.0, height / 2.0);
    let (east, _) = source.affine.to_ground(width, height / 2.0);
    (west.min(east) < -180.0 || west.max(east) > 180.0).then(|| f64::midpoint(west, east))
}

/// The exact positions at the 4 × 4 nodes of a block, row by row.
#[derive(Debug, Clone, Copy)]
struct Nodes([(f64, f64); NODES * NODES]);

impl Nodes {
    /// Interpolates to one row of the block, at a share of its height.
    fn across(&self, v: f64) -> Cubics {
        let weights = lagrange(v);
        let column = |i: usize, part: fn(&(f64, f64)) -> f64| -> f64 {
            (0..NODES)
                .map(|j| weights[j] * part(&self.0[j * NODES + i]))
                .sum()
        };
        let cubic = |part: fn(&(f64, f64)) -> f64| {
            Cubic::through([
                column(0, part),
                column(1, part),
                column(2, part),
                column(3, part),
            ])
        };
        Cubics {
            x: cubic(|p| p.0),
            y: cubic(|p| p.1),
        }
    }
}

/// Weights of the nodes 0, 1/3, 2/3, 1 at a share in 0..=1.
fn lagrange(t: f64) -> [f64; NODES] {
    let (a, b, c, d) = (t, t - 1.0 / 3.0, t - 2.0 / 3.0, t - 1.0);
    [
        -4.5 * b * c * d,
        13.5 * a * c * d,
        -13.5 * a * b * d,
        4.5 * a * b * c,
    ]
}

/// Both coordinates along one row of a block.
#[derive(Debug, Clone, Copy)]
struct Cubics {
    x: Cubic,
    y: Cubic,
}

impl Cubics {
    fn at(&self, u: f64) -> (f64, f64) {
        (self.x.at(u), self.y.at(u))
    }
}

/// A cubic over 0..=1.
#[derive(Debug, Clone, Copy)]
struct Cubic([f64; NODES]);

impl Cubic {
    /// Returns the cubic through values at 0, 1/3, 2/3, 1.
    fn through([f0, f1, f2, f3]: [f64; NODES]) -> Self {
        // Differences first: positions are large, their changes over a block small.
        let (p, q, r) = (f1 - f0, f2 - f0, f3 - f0);
        Self([
            f0,
            9.0 * p - 4.5 * q + r,
            -22.5 * p + 18.0 * q - 4.5 * r,
            13.5 * p - 13.5 * q + 4.5 * r,
        ])
    }

    #[inline]
    fn at(&self, u: f64) -> f64 {
        let [a, b, c, d] = self.0;
        a + u * (b + u * (c + u * d))
    }
}

/// `BLOCK` rows of the target of a mapped source.
#[derive(Debug)]
pub(super) struct MappedStrip<'a> {
    positions: &'a Mapped,
    first: usize,
    /// One per block of columns, `None` where pixels are transformed one by one; empty where
    /// both systems agree.
    blocks: Vec<Option<Nodes>>,
}

impl MappedStrip<'_> {
    fn row(&self, row: usize, xs: &mut [f64], ys: &mut [f64]) {
        if self.blocks.is_empty() {
            return self.row_exact(row, 0, xs, ys);
        }
        let v = ((row - self.first) as f64 + 0.5) / BLOCK as f64;
        let parts = xs.chunks_mut(BLOCK).zip(ys.chunks_mut(BLOCK));
        for (number, ((xs, ys), block)) in parts.zip(&self.blocks).enumerate() {
            let Some(nodes) = block else {
                self.row_exact(row, number * BLOCK, xs, ys);
                continue;
            };
            let cubics = nodes.across(v);
            for (i, (x, y)) in xs.iter_mut().zip(ys).enumerate() {
                let u = (i as f64 + 0.5) / BLOCK as f64;
                (*x, *y) = (cubics.x.at(u), cubics.y.at(u));
            }
        }
    }

    fn row_exact(&self, row: usize, column: usize, xs: &mut [f64], ys: &mut [f64]) {
        let centre = |i: usize| ((column + i) as f64 + 0.5, row as f64 + 0.5);
        let mut points: Vec<_> = (0..xs.len()).map(centre).collect();
        self.positions.exact(&mut points);
        for ((x, y), point) in xs.iter_mut().zip(ys).zip(points) {
            (*x, *y) = point;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{BLOCK, ERROR_MAX, Mapped};
    use crate::raster::georef::{Affine, Georef};

    fn georef(crs: &str, affine: [f64; 6], (width, height): (u32, u32)) -> Georef {
        let affine = Affine::new(affine).unwrap();
        Georef {
            crs: crs.parse().unwrap(),
            affine,
            width,
            height,
        }
    }

    /// Holds a row's interpolated positions against exact ones.
    fn check(source: &Georef, target: &Georef, row: usize) -> f64 {
        let positions = Mapped::new(source, target).unwrap();
        let width = target.width as usize;
        let (mut xs, mut ys) = (vec![0.0; width], vec![0.0; width]);
        positions
            .strip(row / BLOCK * BLOCK)
            .row(row, &mut xs, &mut ys);
        let mut exact: Vec<_> = (0..width)
            .map(|c| (c as f64 + 0.5, row as f64 + 0.5))
            .collect();
        positions.exact(&mut exact);
        let differences = exact
            .iter()
            .zip(xs.iter().zip(&ys))
            .map(|((ex, ey), (x, y))| {
                // An undefined position must be undefined in both.
                if ex.is_nan() && x.is_nan() {
                    0.0
                } else {
                    (ex - x).abs().max((ey - y).abs())
                }
            });
        differences.fold(0.0, |worst, d| {
            if d.is_nan() {
                f64::INFINITY
            } else {
                worst.max(d)
            }
        })
    }

    proptest! {
        #[test]
        fn interpolated_positions_are_exact(
            zone in 1_u32..=60,
            aside in -3.5_f64..3.5,
            lat in -84.0_f64..84.0,
            metres in 0.5_f64..3000.0,
            row in 0_usize..200,
        ) {
            let lon = f64::from(zone) * 6.0 - 183.0 + aside;
            let degrees = metres / 111_000.0;
            let shape = (300, 200);
            let target = georef("EPSG:4326", [lon, degrees, 0.0, lat, 0.0, -degrees], shape);
            let hemisphere = if lat < 0.0 { 32_700 } else { 32_600 };
            let utm = format!("EPSG:{}", hemisphere + zone);
            let source = georef(&utm, [4e5, metres, 0.0, 6e6, 0.0, -metres], shape);
            let worst = check(&source, &target, row);
            prop_assert!(worst < 2.0 * ERROR_MAX, "{worst}");
        }
    }

    #[test]
    fn positions_near_the_pole_and_off_the_projection_are_exact_or_undefined() {
        let world = georef("EPSG:4326", [-180.0, 0.5, 0.0, 90.0, 0.0, -0.5], (720, 360));
        for crs in [
            "EPSG:3413",
            "+proj=sinu +R=6371007.181",
            "EPSG:3857",
            "EPSG:32633",
        ] {
            let source = georef(crs, [0.0, 1000.0, 0.0, 0.0, 0.0, -1000.0], (10, 10));
            for row in [0, 1, 100, 359] {
                let worst = check(&source, &world, row);
                assert!(worst < 1e-3, "{crs} row {row}: {worst}");
            }
        }
    }

    #[test]
    fn a_raster_across_the_antimeridian_is_met_from_both_sides() {
        let source = georef("EPSG:4326", [178.0, 0.01, 0.0, 1.0, 0.0, -0.01], (400, 100));
        let target = georef("EPSG:4326", [-179.5, 0.01, 0.0, 1.0, 0.0, -0.01], (10, 10));
        let positions = Mapped::new(&source, &target).unwrap();
        let mut points = [(0.0, 0.0)];
        positions.exact(&mut points);
        assert!((points[0].0 - 250.0).abs() < 1e-9, "{points:?}");
    }
}
