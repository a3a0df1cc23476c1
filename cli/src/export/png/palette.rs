//! Colours of classes: far apart from one another, the same for the same value everywhere.
//!
//! *Invariants*: neighbouring values never have one colour.
//!
//! *Not here*: the official legends of products.

/// Twenty colours that people tell apart, after Sasha Trubetskoy's list of distinct colours.
const COLOURS: [[u8; 3]; 20] = [
    [128, 128, 128],
    [230, 25, 75],
    [60, 180, 75],
    [255, 225, 25],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [70, 240, 240],
    [240, 50, 230],
    [210, 245, 60],
    [250, 190, 212],
    [0, 128, 128],
    [220, 190, 255],
    [170, 110, 40],
    [255, 250, 200],
    [128, 0, 0],
    [170, 255, 195],
    [128, 128, 0],
    [255, 215, 180],
    [0, 0, 128],
];

/// Returns the colour of a class; black for what is no class value.
pub(super) fn colour(value: f64) -> [u8; 3] {
    if value < 0.0 || !value.is_finite() {
        return [0; 3];
    }
    let turn = value % COLOURS.len() as f64;
    let place = (0_u8..).zip(COLOURS).find(|(i, _)| f64::from(*i) >= turn);
    place.map_or([0; 3], |(_, colour)| colour)
}

#[cfg(test)]
mod tests {
    use super::{COLOURS, colour};

    #[test]
    fn values_turn_through_the_colours() {
        assert_eq!(colour(0.0), COLOURS[0]);
        assert_eq!(colour(24.0), COLOURS[4]);
        assert_eq!(colour(f64::NAN), [0; 3]);
        assert!((0..300).all(|v| colour(f64::from(v)) != colour(f64::from(v + 1))));
    }
}
