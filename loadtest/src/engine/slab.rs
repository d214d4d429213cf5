//! Memory for players: few large mappings in huge pages, shared by the servers of a run.
//!
//! Steps touch players in random order, so with ordinary 4 KiB pages most steps miss the TLB. A server's own players
//! are often fewer than a huge page holds; so servers take their slabs from chunks of 64 MiB or more. Only what is
//! written takes memory. Where mapping fails, the chunk is an ordinary allocation: slower, not wrong.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::workload::Player;

/// Players of an ordinary chunk: 64 MiB.
const CHUNK: usize = (64 << 20) / size_of::<Player>();

/// Hands out slabs. Dropping it leaves them valid.
#[derive(Default)]
pub(crate) struct Arena {
    /// The latest chunk, and how many of its players are taken.
    latest: Mutex<Option<(Arc<Chunk>, usize)>>,
}

impl Arena {
    /// So many players, all zero, which nobody else has.
    pub(super) fn take(&self, players: usize) -> Slab {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = latest.as_ref().is_some_and(|(chunk, taken)| chunk.players - taken >= players);
        if !fits {
            *latest = Some((Arc::new(Chunk::new(players.max(CHUNK))), 0));
        }
        let Some((chunk, taken)) = latest.as_mut() else { unreachable!("a chunk was made if there was none") };
        // SAFETY: `taken + players` is at most the chunk's players, so the pointer stays within its one allocation.
        let first = unsafe { chunk.first.add(*taken) };
        *taken += players;
        Slab { first, players, _chunk: chunk.clone() }
    }
}

/// One allocation of zeroed players.
struct Chunk {
    first: NonNull<Player>,
    players: usize,
    mapped: bool,
}

// SAFETY: a chunk itself only frees its memory; access goes through slabs, which don't overlap.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(players: usize) -> Self {
        let bytes = players * size_of::<Player>();
        // SAFETY: a new anonymous mapping at an address that the kernel chooses touches no other memory.
        let mapping = unsafe {
            mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        if let Some(first) = mapping.ok().and_then(NonNull::new) {
            #[cfg(target_os = "linux")]
            // SAFETY: the range is the mapping made above; the advice changes no content. A kernel without huge pages
            // refuses it, which is as well.
            let _ = unsafe { madvise(first.as_ptr(), bytes, Advice::LinuxHugepage) };
            return Self { first: first.cast(), players, mapped: true };
        }
        let players = vec![Player::default(); players].into_boxed_slice();
        let (len, first) = (players.len(), Box::into_raw(players));
        // A box's pointer is never null.
        Self { first: NonNull::new(first.cast()).unwrap_or(NonNull::dangling()), players: len, mapped: false }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.mapped {
            // SAFETY: this is the whole mapping, and the last slab of it is gone. Unmapping a valid range can't fail.
            let _ = unsafe { munmap(self.first.as_ptr().cast(), self.players * size_of::<Player>()) };
        } else {
            let players = std::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.players);
            // SAFETY: `new` made these raw parts from a box of this length, and the last slab of it is gone.
            drop(unsafe { Box::from_raw(players) });
        }
    }
}

/// The players of one server.
pub(super) struct Slab {
    first: NonNull<Player>,
    players: usize,
    _chunk: Arc<Chunk>,
}

// SAFETY: a slab owns its part of the chunk alone, and players are plain data.
unsafe impl Send for Slab {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Slab {}

impl Deref for Slab {
    type Target = [Player];

    #[inline]
    fn deref(&self) -> &[Player] {
        // SAFETY: `take` hands out each part of a chunk once, the chunk lives as long as the slab, and zeroed memory is
        // valid players: integers, bytes, and a state whose zero is `Offline`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.players) }
    }
}

impl DerefMut for Slab {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Player] {
        // SAFETY: as in `deref`, and this borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.players) }
    }
}

impl Slab {
    /// Has the CPU fetch a player who will be looked at soon.
    #[inline]
    pub(super) fn prefetch(&self, index: u32) {
        #[cfg(target_arch = "x86_64")]
        if let Some(player) = self.get(index as usize) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing as far as the program can tell, and the address is a valid one.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(player).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_are_zeroed_and_do_not_overlap() {
        let arena = Arena::default();
        let mut slabs: Vec<Slab> = [10, CHUNK - 20, 30, 2 * CHUNK].map(|players| arena.take(players)).into();
        drop(arena);
        for (mark, slab) in slabs.iter_mut().enumerate() {
            assert!(slab.iter().take(1_000).all(|player| player.is_offline() && player.next == 0));
            for player in slab.iter_mut().take(1_000) {
                player.next = mark as u32 + 1;
            }
        }
        let lens: Vec<usize> = slabs.iter().map(|slab| slab.len()).collect();
        assert_eq!(lens, [10, CHUNK - 20, 30, 2 * CHUNK]);
        for (mark, slab) in slabs.iter().enumerate() {
            assert!(slab.iter().take(1_000).all(|player| player.next == mark as u32 + 1));
        }
    }
}
