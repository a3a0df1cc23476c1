//! What helps against the reasons for which cells of a run got no model.
//!
//! *Invariants*: each step is told once, as a command that there is; a reason that another attempt
//! may do away with has none but `glebe job resume`, which `lost` tells.
//!
//! *Not here*: the reasons (trainer), whose they are (`lost`).

use wire::run::{Hyper, Run};

/// Least side of chips that is proposed: below it hardly anything is seen.
const CHIP_PX_MIN: u32 = 8;

/// What is wrong, as the trainer's words tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Too few chips are left.
    TooFew,
    /// A loss is no number.
    NotFinite,
    /// A split has not the bands that are learned from.
    NoBand,
    /// All labels are the same.
    AllSame,
}

impl Wrong {
    /// Reads a reason; none where no other command helps.
    fn of(reason: &str) -> Option<Self> {
        let words = [
            ("too few chips", Self::TooFew),
            (" is not finite", Self::NotFinite),
            (" band (it has: ", Self::NoBand),
            (" nothing to tell apart", Self::AllSame),
        ];
        let known = words.into_iter().find(|(words, _)| reason.contains(words));
        known.map(|(_, wrong)| wrong)
    }

    /// Returns a step against it.
    fn step(self, run: &Run) -> String {
        let Run { recipe, hyper, .. } = run;
        match self {
            Self::TooFew if hyper.chip_px / 2 >= CHIP_PX_MIN => {
                let (now, half) = (hyper.chip_px, hyper.chip_px / 2);
                format!("glebe train {recipe} --chip {half} (was {now}), with the same selectors")
            }
            Self::TooFew => "glebe search with the same selectors, which tells how much of each \
                             split is there and how much is cloud; more dates or other cells help"
                .to_owned(),
            Self::NotFinite => {
                let now = hyper.learning_rate;
                let less = (now / 10.0).min(Hyper::default().learning_rate);
                format!(
                    "glebe train {recipe} --learning-rate {less:e} (was {now:e}), with the same \
                     selectors"
                )
            }
            Self::NoBand => format!(
                "--dataset or --collection of splits with these bands; glebe train {recipe} \
                 --describe tells which ones it takes"
            ),
            Self::AllSame => format!(
                "glebe train {recipe} without --datetime or with more of it, or in larger cells: \
                 glebe collection resplit"
            ),
        }
    }
}

/// Returns what helps against some reasons, each step once.
pub(super) fn steps<'a>(run: &Run, reasons: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for wrong in reasons.filter_map(Wrong::of) {
        let step = format!("try: {}", wrong.step(run));
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_none_where_only_another_attempt_helps() {
        let mut run = Run::new("july", "ndvi-cnn", query::Query::default());
        run.hyper.chip_px = 8;
        run.hyper.learning_rate = 1e-3;
        let few = "too few chips of 8 pixels without fill or cloud: 0 to learn from";
        let lost = "the validation loss of epoch 1 is not finite; a smaller --learning-rate helps";
        let told = steps(&run, [few, lost, "the worker ended", few].into_iter());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("try: glebe search"), "{told:?}");
        let less = "try: glebe train ndvi-cnn --learning-rate 1e-4 (was 1e-3)";
        assert!(told[1].starts_with(less), "{told:?}");
        assert!(steps(&run, ["the split of 9xj5r is damaged"].into_iter()).is_empty());
    }
}
