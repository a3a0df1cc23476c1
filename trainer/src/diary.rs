//! What a worker says of a job: to people on stderr, and to the node, which keeps it.
//!
//! *Invariants*: what is said changes no weight; at most `ENTRIES_MAX` entries wait to be sent, the
//! oldest of all, and what does not fit is counted and told.
//!
//! *Not here*: sending (`work`), keeping (node).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use wire::diary::{ENTRIES_MAX, Entry, Event};

use crate::log::say;

/// A diary that many may write in.
#[derive(Debug, Clone, Default)]
pub struct Diary {
    title: String,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Debug, Default)]
struct Pages {
    entries: VecDeque<Entry>,
    lost: u64,
}

impl Pages {
    fn note(&mut self, entry: Entry) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push_back(entry);
        } else {
            self.lost += 1;
        }
    }
}

impl Diary {
    /// Opens the diary of a job, such as `spring: job 9xj5k`.
    pub fn of(title: String) -> Self {
        let pages = Arc::default();
        Self { title, pages }
    }

    /// Says something, to people too.
    pub fn say(&self, text: &str) {
        say(&format!("{}: {text}", self.title));
        self.note(Event::said(text));
    }

    /// Notes an event for the node.
    pub fn note(&self, event: Event) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.note(Entry::now(event));
    }

    /// Puts back what could not be sent, before what was said since.
    pub fn give_back(&self, entries: Vec<Entry>) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.into_iter().rev() {
            pages.entries.push_front(entry);
        }
        let kept = pages.entries.len().min(ENTRIES_MAX);
        pages.lost += (pages.entries.len() - kept) as u64;
        pages.entries.truncate(kept);
    }

    /// Opens a diary of the same job whose words only count if they are passed on.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::of(self.title.clone())
    }

    /// Notes what was said in another.
    pub fn pass_on(&self, other: &Self) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in other.take() {
            pages.note(entry);
        }
    }

    /// Tells whether nothing waits.
    pub fn is_empty(&self) -> bool {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.entries.is_empty()
    }

    /// Takes out what waits, oldest first.
    pub fn take(&self) -> Vec<Entry> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries: Vec<Entry> = pages.entries.drain(..).collect();
        let lost = std::mem::take(&mut pages.lost);
        if lost > 0 {
            // One entry makes room for what is said of the others.
            entries.pop();
            let text = format!(
                "{} lines were lost: the node was not reached in time",
                lost + 1
            );
            entries.push(Entry::now(Event::said(&text)));
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use wire::diary::{ENTRIES_MAX, Event};

    use super::Diary;

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_told() {
        let diary = Diary::default();
        let other = diary.clone();
        for _ in 0..ENTRIES_MAX + 5 {
            other.note(Event::said("a line"));
        }
        let taken = diary.take();
        assert_eq!(taken.len(), ENTRIES_MAX);
        let told = Event::said("6 lines were lost: the node was not reached in time");
        assert_eq!(taken.last().map(|e| e.event.clone()), Some(told));
        assert!(diary.take().is_empty());
    }

    #[test]
    fn what_could_not_be_sent_is_sent_before_what_was_said_since() {
        let diary = Diary::default();
        let said = |number: usize| Event::said(&format!("line {number}"));
        diary.note(said(0));
        diary.note(said(1));
        let unsent = diary.take();
        (2..ENTRIES_MAX + 3).for_each(|number| diary.note(said(number)));
        diary.give_back(unsent);
        let taken = diary.take();
        assert_eq!(taken.len(), ENTRIES_MAX);
        for (number, entry) in taken[..ENTRIES_MAX - 1].iter().enumerate() {
            assert_eq!(entry.event, said(number));
        }
        let told = Event::said("4 lines were lost: the node was not reached in time");
        assert_eq!(taken[ENTRIES_MAX - 1].event, told);
        assert!(diary.is_empty());
    }
}
