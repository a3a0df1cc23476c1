//! Which connections are open, and which has to go for another.
//!
//! *Invariants*: at most `CONNECTIONS_MAX`, of one address `PER_ADDRESS_MAX`; whoever opens
//! thousands and asks nothing loses its own oldest ones, never a request in flight.
//!
//! *Not here*: accepting, timing out (`serve`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::access::Caller;
use super::limits::{CONNECTIONS_MAX, PER_ADDRESS_MAX};

/// The open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    seats: HashMap<u64, Held>,
    per_address: HashMap<Caller, usize>,
}

/// What is known of a connection.
#[derive(Debug)]
struct Held {
    from: Caller,
    busy: Arc<AtomicBool>,
    cut: CancellationToken,
}

/// The right to a connection, until dropped.
#[derive(Debug)]
pub(super) struct Seat {
    connections: Arc<Connections>,
    number: u64,
    /// Where it comes from.
    pub(super) from: Caller,
    /// Whether a request is in flight on it.
    pub(super) busy: Arc<AtomicBool>,
    /// Ends it.
    pub(super) cut: CancellationToken,
}

impl Connections {
    /// Takes in a connection; an idle one may have to go for it. `None` if all are busy.
    pub(super) fn enter(self: &Arc<Self>, from: Caller) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.per_address.get(&from).copied().unwrap_or(0);
        if from.0.is_some() && own >= PER_ADDRESS_MAX {
            open.evict(Some(from))?;
        } else if open.seats.len() >= CONNECTIONS_MAX {
            open.evict(None)?;
        }
        let number = open.next;
        open.next += 1;
        let (busy, cut) = (Arc::default(), CancellationToken::new());
        let held = Held {
            from,
            busy: Arc::clone(&busy),
            cut: cut.clone(),
        };
        open.seats.insert(number, held);
        *open.per_address.entry(from).or_default() += 1;
        drop(open);
        Some(Seat {
            connections: Arc::clone(self),
            number,
            from,
            busy,
            cut,
        })
    }

    /// Ends all connections.
    pub(super) fn cut_all(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for held in open.seats.values() {
            held.cut.cancel();
        }
    }

    fn leave(&self, number: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.forget(number);
    }
}

impl Open {
    /// Ends the longest open idle connection of an address, or of the address with the most of
    /// them; `None` if there is none.
    fn evict(&mut self, of: Option<Caller>) -> Option<()> {
        let idle = |held: &Held| !held.busy.load(Ordering::Acquire);
        let candidates = self.seats.iter().filter(|(_, held)| idle(held));
        let victim = match of {
            Some(from) => candidates
                .filter(|(_, held)| held.from == from)
                .map(|(number, _)| *number)
                .min(),
            None => candidates
                .map(|(number, held)| (self.per_address.get(&held.from), *number))
                .min_by_key(|(count, number)| (std::cmp::Reverse(*count), *number))
                .map(|(_, number)| number),
        };
        let victim = victim?;
        if let Some(held) = self.seats.get(&victim) {
            held.cut.cancel();
        }
        self.forget(victim);
        Some(())
    }

    fn forget(&mut self, number: u64) {
        let Some(held) = self.seats.remove(&number) else {
            return;
        };
        if let Some(count) = self.per_address.get_mut(&held.from) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&held.from);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> Caller {
        Caller(Some(std::net::IpAddr::from([10, 0, 0, last])))
    }

    fn open(connections: &Arc<Connections>) -> usize {
        connections.open.lock().unwrap().seats.len()
    }

    #[test]
    fn one_address_loses_its_own_oldest_idle_connections() {
        let connections = Arc::new(Connections::default());
        let other = connections.enter(from(2)).unwrap();
        let seats: Vec<Seat> = (0..PER_ADDRESS_MAX)
            .map(|_| connections.enter(from(1)).unwrap())
            .collect();
        seats[0].busy.store(true, Ordering::Release);
        let one_more = connections.enter(from(1)).unwrap();
        assert!(!seats[0].cut.is_cancelled(), "a request is in flight");
        assert!(seats[1].cut.is_cancelled() && !seats[2].cut.is_cancelled());
        assert!(!other.cut.is_cancelled() && !one_more.cut.is_cancelled());
        assert_eq!(open(&connections), PER_ADDRESS_MAX + 1);
        drop((seats, one_more, other));
        assert_eq!(open(&connections), 0);
        assert!(connections.open.lock().unwrap().per_address.is_empty());
    }

    #[test]
    fn a_full_house_makes_room_at_the_cost_of_who_has_most() {
        let connections = Arc::new(Connections::default());
        let mut seats = vec![connections.enter(from(9)).unwrap()];
        let mut address = 10;
        while open(&connections) < CONNECTIONS_MAX {
            let wanted = if address == 10 { PER_ADDRESS_MAX } else { 100 };
            for _ in 0..wanted.min(CONNECTIONS_MAX - open(&connections)) {
                seats.push(connections.enter(from(address)).unwrap());
            }
            address += 1;
        }
        let newcomer = connections.enter(from(200)).unwrap();
        assert!(
            seats[1].cut.is_cancelled(),
            "of the address with the most, the oldest"
        );
        assert!(!seats[0].cut.is_cancelled() && !newcomer.cut.is_cancelled());
        for seat in &seats {
            seat.busy.store(true, Ordering::Release);
        }
        drop(newcomer);
        let last = connections.enter(from(201)).unwrap();
        last.busy.store(true, Ordering::Release);
        assert!(connections.enter(from(202)).is_none(), "all are busy");
    }
}
