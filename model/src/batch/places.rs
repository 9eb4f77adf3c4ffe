//! Assignment of places and pages of the cache to sequences.

use super::{BatchError, BatchRoom, SequenceId};
use crate::kv::PAGE;

/// A sequence in a batch.
#[derive(Clone, Debug)]
pub(super) struct Member {
    id: SequenceId,
    /// Tokens processed so far.
    pub(super) position: usize,
    /// Maximum number of tokens.
    pub(super) capacity: usize,
    pages: Vec<u32>,
}

/// The places of a batch, and its pages.
#[derive(Debug)]
pub(super) struct Places {
    room: BatchRoom,
    members: Vec<Option<Member>>,
    /// Free pages; the last one is used first.
    free: Vec<u32>,
    /// Number of sequences that have joined so far.
    joined: u64,
}

impl Places {
    pub(super) fn new(room: BatchRoom) -> Self {
        let pages = u32::try_from(room.pages).unwrap_or(u32::MAX);
        Self { room, members: vec![None; room.sequences], free: (0..pages).rev().collect(), joined: 0 }
    }

    pub(super) fn room(&self) -> BatchRoom {
        self.room
    }

    /// Number of free pages.
    pub(super) fn free_pages(&self) -> usize {
        self.free.len()
    }

    /// Sequences in the batch.
    pub(super) fn members(&self) -> usize {
        self.members.iter().flatten().count()
    }

    /// A new sequence for this many tokens, and its pages.
    pub(super) fn join(&mut self, capacity: usize) -> Result<(SequenceId, &[u32]), BatchError> {
        let BatchRoom { sequences, positions, .. } = self.room;
        if capacity > positions {
            return Err(BatchError::Positions { asked: capacity, most: positions });
        }
        let place = self.members.iter().position(Option::is_none).ok_or(BatchError::Sequences { most: sequences })?;
        let (needed, free) = (capacity.div_ceil(PAGE), self.free.len());
        if needed > free {
            return Err(BatchError::Pages { needed, free });
        }
        let mut pages = self.free.split_off(free - needed);
        pages.reverse();
        let id = SequenceId { place, number: self.joined };
        self.joined += 1;
        let member = self.members[place].insert(Member { id, position: 0, capacity, pages });
        Ok((id, &member.pages))
    }

    /// Frees a sequence's place and pages; false if it is not in the batch.
    pub(super) fn leave(&mut self, id: SequenceId) -> bool {
        let Ok(member) = self.get_mut(id) else { return false };
        let pages = std::mem::take(&mut member.pages);
        self.free.extend(pages.into_iter().rev());
        self.members[id.place] = None;
        true
    }

    /// The sequences in the batch, with their places.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        self.members.iter_mut().enumerate().filter_map(|(place, member)| Some((place, member.as_mut()?)))
    }

    pub(super) fn get(&self, id: SequenceId) -> Result<&Member, BatchError> {
        let member = self.members.get(id.place).and_then(Option::as_ref);
        member.filter(|m| m.id == id).ok_or(BatchError::Unknown(id))
    }

    pub(super) fn get_mut(&mut self, id: SequenceId) -> Result<&mut Member, BatchError> {
        let member = self.members.get_mut(id.place).and_then(Option::as_mut);
        member.filter(|m| m.id == id).ok_or(BatchError::Unknown(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_round_and_numbers_do_not() {
        let mut places = Places::new(BatchRoom { sequences: 2, positions: 3 * PAGE, pages: 4 });
        let (a, pages) = places.join(2 * PAGE - 1).unwrap();
        assert_eq!(pages, [1, 0].map(|p| p ^ 1));
        let (b, pages) = places.join(PAGE + 1).unwrap();
        assert_eq!(pages, [2, 3]);
        assert_eq!(places.join(1).unwrap_err(), BatchError::Sequences { most: 2 });
        assert!(places.leave(a) && !places.leave(a));
        assert!(places.get(a).is_err() && places.get(b).is_ok());
        assert_eq!(places.join(3 * PAGE).unwrap_err(), BatchError::Pages { needed: 3, free: 2 });
        let most = 3 * PAGE;
        assert_eq!(places.join(most + 1).unwrap_err(), BatchError::Positions { asked: most + 1, most });
        let (c, pages) = places.join(PAGE).unwrap();
        assert_eq!(pages, [0]);
        assert_ne!(a, c, "a place anew is another sequence");
        assert_eq!((places.members(), places.free_pages()), (2, 1));
    }
}
