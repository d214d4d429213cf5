//! The process's allocator, mimalloc, and how long it holds on to what was freed.

use std::ffi::{c_int, c_long};

// Saves 10 to 25 % of decoding's CPU and much of the compiler's default allocator's fragmentation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings have no name for.
const PURGE_DELAY: c_int = 15;

/// Milliseconds after which freed memory goes back to the system. By default it is a second: under load, what was freed
/// meanwhile would count as much as what is held, and the budget is one of what the process takes. Much less, and what is
/// freed and taken again goes back and forth: at 20 ms that was 3 to 5 % of the CPU.
const DELAY_MS: c_long = 100;

/// What sets another time.
const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// To be called before anything else. The variable in the environment wins; the allocator has read it by now.
pub(crate) fn configure() {
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the option is a number, kept in a variable of the allocator's that it reads whenever it frees.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, DELAY_MS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_held_for_as_long_as_is_said() {
        configure();
        let said = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        // SAFETY: it reads a number.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, said.unwrap_or(DELAY_MS));
    }
}
