//! Unit vectors of positions, and the bilinear surface between four of them.
//!
//! *Invariants*: a node is exact to 6 mm on the ground; solving undoes `Quad::at`.
//!
//! *Not here*: which quad a point lies in (`index`, the walk in `swath`).

use crate::extent::LonLat;

/// Stored numbers per unit: nodes beyond the edge lie a little outside -1..=1.
const UNIT: f64 = (1_u32 << 30) as f64;
/// Steps of Newton's method: it doubles its digits with each.
const NEWTON_MAX: usize = 12;
/// A step below this share of a side ends the search.
const NEWTON_DONE: f64 = 1e-12;
/// Beyond this many sides a solution says only the direction.
const FAR: f64 = 1e6;

/// A position at 12 bytes: a frame of 20 million pixels must fit beside its bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node([i32; 3]);

/// A position that is not known.
pub(super) const MISSING: Node = Node([i32::MIN; 3]);

impl Node {
    /// Builds a node from degrees; missing if either is, or is no angle.
    pub(super) fn of(lon: Option<f64>, lat: Option<f64>) -> Self {
        match (lon, lat) {
            (Some(lon), Some(lat)) if (-360.0..=360.0).contains(&lon) && lat.abs() <= 90.0 => {
                Self::from_vector(&Vector::from_lon_lat(LonLat { lon, lat }))
            }
            _ => MISSING,
        }
    }

    /// Goes on from `before` through `edge` as far again.
    pub(super) fn beyond(edge: Self, before: Self) -> Self {
        match (edge.vector(), before.vector()) {
            (Some(edge), Some(before)) => Self::from_vector(&edge.plus(2.0, &before, -1.0)),
            _ => MISSING,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates; only nodes beyond absurd arrays would"
    )]
    fn from_vector(vector: &Vector) -> Self {
        Self(vector.0.map(|x| (x * UNIT).round() as i32))
    }

    /// Returns the vector, about one long.
    #[inline]
    pub(super) fn vector(self) -> Option<Vector> {
        (self != MISSING).then(|| Vector(self.0.map(|x| f64::from(x) / UNIT)))
    }
}

/// A point in space; on the ground if it is one long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vector(pub(super) [f64; 3]);

impl Vector {
    pub(super) fn from_lon_lat(at: LonLat) -> Self {
        let ((sin_lon, cos_lon), (sin, cos)) =
            (at.lon.to_radians().sin_cos(), at.lat.to_radians().sin_cos());
        Self([cos * cos_lon, cos * sin_lon, sin])
    }

    pub(super) fn to_lon_lat(self) -> LonLat {
        let [x, y, z] = self.0;
        LonLat {
            lon: y.atan2(x).to_degrees(),
            lat: z.atan2(x.hypot(y)).to_degrees(),
        }
    }

    pub(super) fn dot(&self, other: &Self) -> f64 {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        a * x + b * y + c * z
    }

    /// Returns `self` × a + other × b.
    pub(super) fn plus(&self, a: f64, other: &Self, b: f64) -> Self {
        let sum = |i: usize| self.0[i] * a + other.0[i] * b;
        Self([sum(0), sum(1), sum(2)])
    }

    pub(super) fn distance(&self, other: &Self) -> f64 {
        let between = self.plus(1.0, other, -1.0);
        between.dot(&between).sqrt()
    }

    /// Returns two unit vectors at right angles to `self` and to each other.
    ///
    /// Source: Duff et al. 2017, "Building an Orthonormal Basis, Revisited".
    fn tangents(&self) -> (Self, Self) {
        let [x, y, z] = self.0;
        let sign = 1.0_f64.copysign(z);
        let a = -1.0 / (sign + z);
        let b = x * y * a;
        (
            Self([1.0 + sign * x * x * a, sign * b, -sign * x]),
            Self([b, sign + y * y * a, -y]),
        )
    }
}

/// Four neighbours: upper left, upper right, lower left, lower right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quad(pub(super) [Vector; 4]);

impl Quad {
    /// Returns the point at shares of the sides, right and down, not brought to length one.
    pub(super) fn at(&self, u: f64, v: f64) -> Vector {
        let upper = self.0[0].plus(1.0 - u, &self.0[1], u);
        let lower = self.0[2].plus(1.0 - u, &self.0[3], u);
        upper.plus(1.0 - v, &lower, v)
    }

    /// Returns the lengths of the upper, lower, left and right side.
    pub(super) fn sides(&self) -> [f64; 4] {
        let [a, b, c, d] = &self.0;
        [a.distance(b), c.distance(d), a.distance(c), b.distance(d)]
    }

    /// Returns the shares at which the surface meets the ray of a point, also outside 0..=1;
    /// `None` where quad and point lie on opposite sides of the Earth or the quad has no area.
    ///
    /// In the plane at right angles to the ray the surface is bilinear too, and is zero where it
    /// meets the ray: two equations in two unknowns, solved by Newton's method.
    pub(super) fn solve(&self, at: &Vector) -> Option<(f64, f64)> {
        if self.0[0].dot(at) <= 0.0 {
            return None;
        }
        let (east, north) = at.tangents();
        let flat = self.0.map(|p| (p.dot(&east), p.dot(&north)));
        let [p, right, down, both] = flat;
        let (a, b) = ((right.0 - p.0, right.1 - p.1), (down.0 - p.0, down.1 - p.1));
        let bend = (both.0 - right.0 - b.0, both.1 - right.1 - b.1);
        let (mut u, mut v) = (0.5, 0.5);
        for _ in 0..NEWTON_MAX {
            let rest = |p: f64, a: f64, b: f64, bend: f64| p + a * u + b * v + bend * u * v;
            let (x, y) = (rest(p.0, a.0, b.0, bend.0), rest(p.1, a.1, b.1, bend.1));
            let by_u = (a.0 + bend.0 * v, a.1 + bend.1 * v);
            let by_v = (b.0 + bend.0 * u, b.1 + bend.1 * u);
            let area = by_u.0 * by_v.1 - by_u.1 * by_v.0;
            let (du, dv) = (
                (x * by_v.1 - y * by_v.0) / area,
                (y * by_u.0 - x * by_u.1) / area,
            );
            (u, v) = (u - du, v - dv);
            if !(u.abs() < FAR && v.abs() < FAR) {
                return None;
            }
            if du.abs().max(dv.abs()) < NEWTON_DONE {
                return Some((u, v));
            }
            // Far outside only the direction counts.
            if u.abs().max(v.abs()) > 4.0 {
                return Some((u, v));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{LonLat, Quad, Vector};

    proptest! {
        #[test]
        fn solving_a_quad_finds_the_shares_it_was_asked_for(
            lon in -180.0_f64..180.0,
            lat in -90.0_f64..90.0,
            size in 1e-4_f64..0.5,
            skew in -0.3_f64..0.3,
            u in 0.0_f64..=1.0,
            v in 0.0_f64..=1.0,
        ) {
            let centre = Vector::from_lon_lat(LonLat { lon, lat });
            let (east, north) = centre.tangents();
            let size = size.to_radians();
            let corner = |x: f64, y: f64| {
                let aside = east.plus(x * size, &north, y * size);
                centre.plus(1.0, &aside, 1.0)
            };
            let quad = Quad([
                corner(-1.0, 1.0), corner(1.0, 1.0 + skew),
                corner(-1.0 + skew, -1.0), corner(1.0, -1.0),
            ]);
            let point = quad.at(u, v).to_lon_lat();
            let found = quad.solve(&Vector::from_lon_lat(point)).unwrap();
            prop_assert!((found.0 - u).abs() < 1e-7 && (found.1 - v).abs() < 1e-7, "{found:?}");
        }
    }
}
