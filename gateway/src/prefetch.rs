//! Asking for memory before it is needed, so that what comes next does not wait for it.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Begins to bring a value's cache lines near, without waiting for any.
#[inline(always)]
pub(crate) fn value<T>(value: &T) {
    lines(std::ptr::from_ref(value).cast(), size_of::<T>());
}

/// Begins to bring at most so many bytes near, without waiting for any.
#[inline(always)]
pub(crate) fn bytes<const AT_MOST: usize>(bytes: &[u8]) {
    lines(bytes.as_ptr(), bytes.len().min(AT_MOST));
}

#[inline(always)]
fn lines(start: *const u8, len: usize) {
    for offset in (0..len).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

// A plain load would do, too, but it holds up the instructions behind it until it is done.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program could see, wherever the address lies.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

// Other architectures have theirs, which are not stable in the language yet.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn line(_: *const u8) {}
