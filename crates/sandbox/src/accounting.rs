//! The allocator of the worker: counts what is live and what has been allocated, and ends the process at the ceiling.
//!
//! The interpreter reads a counter of live bytes at its checkpoints and raises an error that a program cannot catch when
//! it is above the limit. This allocator keeps that counter.
//! A limit that the interpreter does not have — allocations, wall-clock time — is enforced by the same means: the counter
//! is raised beyond every limit and the reason is noted, so the next checkpoint ends the program.
//! What grows between two checkpoints meets the ceiling, and the process ends with a code that says so.
//!
//! A binary names it as its global allocator. Until a worker turns it on, it costs one relaxed load.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};

use monty_types::{BASELINE_MEMORY, LIVE_MEMORY};

use crate::outcome::Limit;

/// With this code a worker ends at the ceiling of its memory.
pub(crate) const MEMORY_EXIT: i32 = 65;
/// With this one it ends when it goes on allocating after it was told to stop.
pub(crate) const ALLOCATIONS_EXIT: i32 = 66;

/// Added to the counter to end a program; far above every size, far below an overflow.
const POISON: usize = 1 << 60;
/// Where the counter begins, so that giving back what was allocated before counting does not take it below zero.
const BEGIN: usize = 1 << 40;
/// Bytes above the limit of memory at which the process ends.
pub(crate) const ABOVE_MEMORY: usize = 16 * 1024 * 1024;
/// Allocations above their limit at which the process ends.
const ABOVE_ALLOCATIONS: usize = 100_000;

static ON: AtomicBool = AtomicBool::new(false);
/// Live bytes at which the process ends.
static CEILING: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Allocations since the run began.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static MAX_ALLOCATIONS: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Why the counter was raised; 0: it was not.
static REASON: AtomicU8 = AtomicU8::new(0);

const REASON_DURATION: u8 = 1;
const REASON_ALLOCATIONS: u8 = 2;

/// The system's allocator, with the counting.
#[derive(Debug, Default, Clone, Copy)]
pub struct Accounting;

/// Begins to count, for the rest of the process.
pub(crate) fn turn_on() {
    LIVE_MEMORY.store(BEGIN, Relaxed);
    BASELINE_MEMORY.store(BEGIN, Relaxed);
    ON.store(true, Relaxed);
}

/// Begins a run: what is live now does not count.
pub(crate) fn begin(memory: usize, allocations: usize) {
    REASON.store(0, Relaxed);
    let live = LIVE_MEMORY.load(Relaxed) & (POISON - 1);
    LIVE_MEMORY.store(live, Relaxed);
    BASELINE_MEMORY.store(live, Relaxed);
    CEILING.store(live.saturating_add(memory).saturating_add(ABOVE_MEMORY), Relaxed);
    ALLOCATED.store(0, Relaxed);
    MAX_ALLOCATIONS.store(allocations, Relaxed);
}

/// Ends a run: what happens to a result is no longer its own doing.
pub(crate) fn end() {
    MAX_ALLOCATIONS.store(usize::MAX, Relaxed);
    LIVE_MEMORY.fetch_and(POISON - 1, Relaxed);
}

/// Ends the program at its next checkpoint because its time is up.
pub(crate) fn time_is_up() {
    stop(REASON_DURATION);
}

/// The limit for which a program was ended from here.
pub(crate) fn reason() -> Option<Limit> {
    match REASON.load(Relaxed) {
        REASON_DURATION => Some(Limit::Duration),
        REASON_ALLOCATIONS => Some(Limit::Allocations),
        _ => None,
    }
}

fn stop(reason: u8) {
    if REASON.compare_exchange(0, reason, Relaxed, Relaxed).is_ok() {
        LIVE_MEMORY.fetch_add(POISON, Relaxed);
    }
}

/// Notes that `size` bytes are to be allocated.
#[inline]
fn taken(size: usize) {
    let live = (LIVE_MEMORY.fetch_add(size, Relaxed) & (POISON - 1)).saturating_add(size);
    if live > CEILING.load(Relaxed) {
        leave(MEMORY_EXIT);
    }
    let allocated = ALLOCATED.fetch_add(1, Relaxed);
    let max = MAX_ALLOCATIONS.load(Relaxed);
    if allocated >= max {
        stop(REASON_ALLOCATIONS);
        if allocated - max > ABOVE_ALLOCATIONS {
            leave(ALLOCATIONS_EXIT);
        }
    }
}

#[inline]
fn given_back(size: usize) {
    LIVE_MEMORY.fetch_sub(size, Relaxed);
}

/// Ends the process at once. Nothing is flushed or freed: the caller is in the middle of an allocation.
#[cold]
#[expect(unsafe_code, reason = "the one way out of a process that does not allocate")]
fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

#[expect(unsafe_code, reason = "the trait of an allocator")]
// SAFETY: every method hands its arguments to the system's allocator unchanged and returns what that returns.
unsafe impl GlobalAlloc for Accounting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            taken(layout.size());
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            taken(layout.size());
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            given_back(layout.size());
            taken(size);
        }
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            given_back(layout.size());
        }
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}
