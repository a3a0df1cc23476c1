//! Memory that ran out: noticed where libtorch asks for it, so that it ends a step, no process.
//!
//! *Invariants*: only what says that memory ran out is taken for that; any other panic goes on.
//!
//! *Not here*: how much there may be (`work::gauge`), what is done about it (`fit`).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::resident;

/// What allocators say that have nothing left: libtorch's on the CPU, on a GPU, the C++ library's,
/// oneDNN's, which says no more than that when a buffer of its own is refused.
const SIGNS: [&str; 7] = [
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "Cannot allocate memory",
    "bad_alloc",
    "could not create a memory object",
    "could not create a primitive",
];

/// Share of what a process may hold at which it counts as nearly used up: a step takes no tenth
/// more than the greatest before it.
const NEAR: f64 = 0.9;

/// Watches whether what may be held is nearly used up.
#[derive(Debug, Default)]
pub struct Margin {
    /// Bytes that may be held, and the most that were when it was looked last.
    below: Option<(u64, u64)>,
}

impl Margin {
    /// Watches from now on.
    pub fn below(bytes_max: Option<u64>) -> Self {
        let below = bytes_max.zip(resident::peak_bytes());
        Self { below }
    }

    /// Tells whether more was held than ever before, and nearly as much as may be.
    pub fn is_near(&mut self) -> Option<Short> {
        let (max, seen) = self.below.as_mut()?;
        let peak = resident::peak_bytes().filter(|peak| *peak > *seen)?;
        *seen = peak;
        (peak as f64 > *max as f64 * NEAR).then(|| {
            let [peak, max] = [peak, *max].map(|bytes| bytes >> 20);
            Short(format!("memory is nearly used up ({peak} of {max} MiB)"))
        })
    }
}

/// Memory ran out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Short(String);

impl Short {
    /// Memory ran out, in the words of whoever says so.
    pub fn told(text: &str) -> Self {
        Self(format!("memory ran out: {text}"))
    }
}

/// Does work that asks libtorch for memory.
pub fn tried<T>(work: impl FnOnce() -> T) -> Result<T, Short> {
    catch_unwind(AssertUnwindSafe(work)).or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        match text.and_then(sign) {
            Some(line) => Err(Short(format!("memory ran out: {line}"))),
            None => resume_unwind(payload),
        }
    })
}

/// Does work without noting what gradients need, also where the work panics.
pub fn without_gradients<T>(work: impl FnOnce() -> T) -> T {
    let _guard = tch::no_grad_guard();
    work()
}

/// Returns what a message says of memory that ran out, without where in libtorch that was.
fn sign(text: &str) -> Option<String> {
    let start = SIGNS.iter().filter_map(|sign| text.find(sign)).min()?;
    let told = &text[start..];
    // Messages are quoted, so that their lines end in two characters.
    let ends = ["\\n", "\n", "\"", ". "];
    let end = ends.iter().filter_map(|end| told.find(end)).min();
    Some(told[..end.unwrap_or(told.len())].to_owned())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::tried;

    #[test]
    fn memory_that_libtorch_cannot_have_is_an_error_and_other_panics_go_on() {
        let more_than_there_is = || Tensor::zeros([1 << 46], (Kind::Float, Device::Cpu));
        let short = tried(more_than_there_is).expect_err("nobody has that much");
        let told = short.to_string();
        assert!(told.starts_with("memory ran out: "), "{told}");
        assert!(told.ends_with(" bytes") && told.len() < 120, "{told}");
        assert_eq!(tried(|| 3), Ok(3));
        let other = || tried(|| Tensor::zeros([2], (Kind::Float, Device::Cpu)).reshape([3]));
        assert!(
            std::panic::catch_unwind(other).is_err(),
            "that is no matter of memory"
        );
    }
}
