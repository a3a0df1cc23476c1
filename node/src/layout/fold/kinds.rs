//! Which of a seat's places are those of first owners, found by 64 at once.
//!
//! *Invariants*: one bit for each place that the seat holds, in the order of its list.
//!
//! *Not here*: the list (`table`).

/// Bits of a word.
const WORD: usize = 64;

/// One bit for each place of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Kinds {
    words: Vec<u64>,
    length: usize,
}

impl Kinds {
    /// Forgets all places.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.length = 0;
    }

    /// Adds a place behind the others.
    pub(super) fn push(&mut self, first: bool) {
        if self.length.is_multiple_of(WORD) {
            self.words.push(0);
        }
        self.length += 1;
        self.set(self.length - 1, first);
    }

    /// Takes a place out; the last one comes in its stead.
    pub(super) fn swap_remove(&mut self, at: usize) {
        let last = self.length - 1;
        self.set(at, self.is_first(last));
        self.length = last;
        self.words.truncate(last.div_ceil(WORD));
    }

    /// Returns the first place of a kind from one on and before another.
    pub(super) fn find(&self, first: bool, from: usize, to: usize) -> Option<usize> {
        let mut at = from;
        while at < to {
            let word = self.words[at / WORD];
            let alike = if first { word } else { !word };
            let rest = alike >> (at % WORD);
            if rest != 0 {
                let found = at + rest.trailing_zeros() as usize;
                return (found < to).then_some(found);
            }
            at = (at / WORD + 1) * WORD;
        }
        None
    }

    fn is_first(&self, at: usize) -> bool {
        self.words[at / WORD] >> (at % WORD) & 1 == 1
    }

    fn set(&mut self, at: usize, first: bool) {
        let (word, bit) = (&mut self.words[at / WORD], 1 << (at % WORD));
        if first {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }
}
