//! Large buffers that are used again. What the allocator gets back it gives back to the system, and what it then takes anew
//! the kernel clears, page by page: for bodies of calls and frames of a log that cost more than what was done with them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Below this a buffer is the allocator's: it keeps small ones itself.
const LEAST: usize = 32 << 10;

/// Buffers that nobody uses now.
pub(crate) struct BufferPool {
    /// Bytes that may lie idle in it.
    most: usize,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    // The one that was given back last is the last.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl BufferPool {
    /// One that keeps at most `most` bytes.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, free: Mutex::default() })
    }

    /// An empty buffer with room for `len` bytes, and for twice as many at most.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        if len < LEAST {
            return Vec::with_capacity(len);
        }
        let mut free = self.lock();
        // From the end: what was given back last is still in the processor's cache.
        if let Some(fits) = free.buffers.iter().rposition(|buffer| (len..=2 * len).contains(&buffer.capacity())) {
            let buffer = free.buffers.remove(fits);
            free.bytes -= buffer.capacity();
            return buffer;
        }
        drop(free);
        // A little more, so that it fits for the next one of about this length.
        Vec::with_capacity(len.next_multiple_of(len.next_power_of_two() / 8))
    }

    /// Shares what is in a buffer. With the last of those who have it the buffer comes back.
    pub(crate) fn share(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < LEAST {
            return buffer.into();
        }
        Bytes::from_owner(Shared { buffer, pool: Arc::clone(self) })
    }

    fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > self.most {
            return;
        }
        buffer.clear();
        let mut free = self.lock();
        free.bytes += buffer.capacity();
        free.buffers.push(buffer);
        // Those that nobody has wanted for longest go: lengths change with the load.
        while free.bytes > self.most {
            free.bytes -= free.buffers.remove(0).capacity();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("most", &self.most).finish_non_exhaustive()
    }
}

struct Shared {
    buffer: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn filled(pool: &BufferPool, len: usize) -> Vec<u8> {
        let mut buffer = pool.take(len);
        buffer.resize(len, 7);
        buffer
    }

    #[test]
    fn a_buffer_comes_back_with_the_last_who_has_it() {
        let pool = BufferPool::new(4 * MIB);
        let buffer = filled(&pool, MIB);
        let place = buffer.as_ptr();
        let shared = pool.share(buffer);
        let part = shared.slice(10..20);
        drop(shared);
        let another = pool.take(MIB);
        assert_ne!(another.as_ptr(), place, "a part of it is in use");
        assert_eq!(part[..], [7; 10]);
        drop(part);
        let again = pool.take(MIB - 1_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn a_buffer_far_too_large_is_left_for_others() {
        let pool = BufferPool::new(4 * MIB);
        drop(pool.share(filled(&pool, MIB)));
        let small = pool.take(MIB / 4);
        assert!((MIB / 4..MIB / 2).contains(&small.capacity()), "{}", small.capacity());
        assert!(pool.take(MIB).capacity() < 2 * MIB);
    }

    #[test]
    fn what_nobody_wants_any_more_makes_room() {
        let pool = BufferPool::new(2 * MIB);
        let small: Vec<Bytes> = (0..16).map(|_| pool.share(filled(&pool, MIB / 8))).collect();
        drop(small);
        let large = filled(&pool, MIB);
        let place = large.as_ptr();
        drop(pool.share(large));
        let again = pool.take(MIB);
        assert_eq!(again.as_ptr(), place);
        drop(pool.share(filled(&pool, 3 * MIB)));
        assert!(pool.lock().bytes <= 2 * MIB);
    }

    #[test]
    fn no_more_lies_idle_than_is_allowed_and_small_ones_are_the_allocators() {
        let pool = BufferPool::new(2 * MIB);
        let shared: Vec<Bytes> = (0..4).map(|_| pool.share(filled(&pool, MIB - 1))).collect();
        drop(shared);
        assert_eq!(pool.lock().buffers.len(), 2);
        drop(pool.share(filled(&pool, 1_000)));
        assert_eq!(pool.lock().buffers.len(), 2);
    }
}
