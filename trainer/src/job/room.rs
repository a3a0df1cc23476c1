//! How many chips of a batch a job begins with, by the memory that its recipe tells of a step.
//!
//! *Invariants*: pure; the whole batch, unless what is told of a step on it is by itself more than
//! the process may hold; halves of it, so that a little more or less room gives the same parts.
//!
//! *Not here*: what a step takes (`recipe::needs`), what is done where it takes more (`fit`).

use crate::recipe::needs::Needs;

/// Bytes that a process may hold, and does.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The most.
    pub bound: u64,
    /// By now: libtorch, and the chips.
    pub held: u64,
}

/// Returns how many chips of a batch are looked at at a time, and says why where those are fewer.
pub fn part(needs: Needs, batch: u32, room: Room) -> (u32, Option<String>) {
    let whole = needs.of_step(batch);
    if whole <= room.bound {
        return (batch, None);
    }
    let left = room.bound.saturating_sub(room.held);
    let mut part = batch;
    while part > 1 && needs.of_step(part) > left {
        part = part.div_ceil(2);
    }
    let [whole, bound] = [whole, room.bound].map(|bytes| bytes >> 20);
    let said = format!(
        "a step on {batch} chips is told to take {whole} MiB, and there may be {bound}: begins with \
         {part} chips at a time, in batches of {batch} all the same: their gradients are added up"
    );
    (part, Some(said))
}

#[cfg(test)]
mod tests {
    use super::{Room, part};
    use crate::recipe::needs::Needs;

    const MIB: u64 = 1 << 20;
    const NEEDS: Needs = Needs {
        chip_px: 16,
        bytes_a_chip: MIB,
        bytes_of_weights: 8 * MIB,
    };

    fn begun(bound: u64, held: u64) -> u32 {
        let room = Room {
            bound: bound * MIB,
            held: held * MIB,
        };
        let (chips, said) = part(NEEDS, 64, room);
        assert_eq!(said.is_some(), chips < 64, "{said:?}");
        chips
    }

    #[test]
    fn a_batch_is_whole_unless_what_is_told_of_it_is_more_than_there_may_be() {
        assert_eq!(begun(72, 0), 64);
        // What is held beside it may make it too much, but may as well be let go.
        assert_eq!(begun(72, 60), 64);
        assert_eq!(begun(71, 0), 32);
    }

    #[test]
    fn of_more_it_is_halved_until_it_fits_beside_what_is_held() {
        assert_eq!(begun(71, 31), 32);
        assert_eq!(begun(71, 32), 16);
        assert_eq!(begun(40, 28), 4, "a sixteenth");
        assert_eq!(begun(40, 40), 1, "never none");
        let room = Room { bound: 9, held: 0 };
        let (chips, said) = part(NEEDS, 5, room);
        let said = said.expect("words");
        assert_eq!(chips, 1);
        let told = "a step on 5 chips is told to take 13 MiB, and there may be 0: begins with 1 \
                    chips at a time, in batches of 5 all the same";
        assert!(said.starts_with(told), "{said}");
    }
}
