//! The path of an event that is accepted allocates nothing for the event: what it costs of the allocator is a batch's and a
//! bucket's. And what it holds does not grow with the number of events that went through.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use headgate_benches::stations::taking;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicI64 = AtomicI64::new(0);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    HELD.fetch_add(bytes as i64, Ordering::Relaxed);
}

// SAFETY: everything is the system's allocator's; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as asked.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as asked.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as asked.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as asked.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Ids that are remembered: full at once.
const WINDOW: u32 = 20_000;

/// Allocations of a batch of so many events, on average over many.
fn of_a_batch(events: u32) -> f64 {
    const BATCHES: u64 = 300;
    let mut take = taking(events, WINDOW);
    // Tables and buffers reach their size.
    (0..BATCHES).for_each(|_| take());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..BATCHES).for_each(|_| take());
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / BATCHES as f64
}

/// One test: the counters are the process's.
#[test]
fn an_accepted_event_allocates_nothing_and_leaves_nothing_behind() {
    let [small, large] = [10, 500].map(of_a_batch);
    let an_event = (large - small) / 490.0;
    println!("a batch of 10: {small:.1} allocations, of 500: {large:.1}; {an_event:.4} for an event more");
    // A bucket holds some hundred events and has a handful of its own.
    assert!(
        an_event < 0.05,
        "{an_event} allocations for each event, {small} for a batch of 10, {large} for one of 500"
    );
    assert!(small < 40.0, "{small} allocations for a batch");

    let mut take = taking(100, WINDOW);
    let mut held = [0; 6];
    for held in &mut held {
        (0..400).for_each(|_| take());
        *held = HELD.load(Ordering::Relaxed);
    }
    println!("held after each 40,000 events, bytes: {held:?}");
    // The dedupe window has been full for long.
    // How full the open buckets are is as it happens.
    let most = |held: &[i64]| held.iter().copied().max().unwrap_or_default();
    let grown = most(&held[3..]) - most(&held[..3]);
    assert!(grown < 2 << 20, "{grown} bytes more are held after 120,000 events more: {held:?}");
}
