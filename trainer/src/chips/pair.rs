//! A cloudy split's inputs beside a clear one's label.
//!
//! *Invariants*: both lie on one grid; where no band tells the cloudy split's clouds, what
//! differs much between the two is taken for one.
//!
//! *Not here*: which splits make a pair (`job::pairs`).

use crate::chips::planes::Planes;

/// Mean difference of reflectance, over the bands, from which the ground counts as hidden: above
/// what two weeks of growth change, below what a thin cloud adds.
pub const VEIL_MIN: f32 = 0.1;

/// Lays the label bands of a clear split beside the inputs of a cloudy one.
pub fn paired(cloudy: Planes, clear: Planes) -> Planes {
    let veil = cloudy
        .cloud
        .unwrap_or_else(|| differing(&cloudy.inputs, &clear.others));
    Planes {
        shape: cloudy.shape,
        inputs: cloudy.inputs,
        others: clear.others,
        cloud: clear.cloud,
        veil: Some(veil),
        overcast: clear.overcast,
    }
}

/// Tells where two images differ; not where one of them is fill.
fn differing(one: &[Vec<f32>], other: &[Vec<f32>]) -> Vec<bool> {
    let pixels = one.first().map_or(0, Vec::len);
    let distance = |i: usize| -> f32 {
        let bands = one.iter().zip(other);
        bands.map(|(a, b)| (a[i] - b[i]).abs()).sum()
    };
    let least = VEIL_MIN * one.len() as f32;
    (0..pixels).map(|i| distance(i) > least).collect()
}

#[cfg(test)]
mod tests {
    use super::paired;
    use crate::chips::onto::Shape;
    use crate::chips::planes::Planes;

    fn planes(red: &[f32], cloud: Option<Vec<bool>>) -> Planes {
        Planes {
            shape: Shape {
                width: red.len(),
                height: 1,
            },
            inputs: vec![red.to_vec()],
            others: vec![red.to_vec()],
            cloud,
            veil: None,
            overcast: false,
        }
    }

    #[test]
    fn inputs_are_the_cloudy_splits_and_labels_and_their_clouds_the_clear_ones() {
        let mut cloudy = planes(&[0.6, 0.1], Some(vec![true, false]));
        cloudy.overcast = true;
        let pair = paired(cloudy, planes(&[0.1, 0.2], Some(vec![false, true])));
        assert_eq!(
            (&pair.inputs[0][..], &pair.others[0][..]),
            (&[0.6, 0.1][..], &[0.1, 0.2][..])
        );
        assert_eq!(
            (pair.cloud, pair.veil),
            (Some(vec![false, true]), Some(vec![true, false]))
        );
        assert!(!pair.overcast, "the label is what must be clear");
    }

    #[test]
    fn without_a_band_that_tells_clouds_what_differs_much_is_one() {
        let cloudy = planes(&[0.6, 0.15, f32::NAN], None);
        let pair = paired(cloudy, planes(&[0.1, 0.1, 0.1], None));
        assert_eq!(pair.veil, Some(vec![true, false, false]));
    }
}
