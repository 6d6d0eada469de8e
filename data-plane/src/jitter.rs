//! Randomness that spreads a fleet over time, as a parameter.

use std::fmt;
use std::sync::Arc;

/// Gives random numbers; cheap to clone. Tests pass their own function.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> u32 + Send + Sync>);

impl Jitter {
    /// Randomness of the operating system.
    pub fn system() -> Self {
        // Without randomness the fleet may come back in step, which is no reason to stay away.
        Self::new(|| getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    /// Numbers that the function gives.
    pub fn new(next: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// A number from the whole range.
    pub(crate) fn next(&self) -> u32 {
        (self.0)()
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}
