//! Randomness that a failed run can repeat.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Repeats a run: its value is taken in place of a random seed.
const VARIABLE: &str = "TOOLPLANE_TEST_SEED";

/// A seed, printed so that the run can be repeated with `TOOLPLANE_TEST_SEED`.
#[expect(clippy::print_stdout, reason = "the output of a failed test has to say its seed")]
#[expect(clippy::disallowed_methods, reason = "whoever repeats a test says so in its environment")]
pub fn seed() -> u64 {
    let named = std::env::var(VARIABLE).ok().map(|text| text.parse().unwrap());
    let seed = named.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("{VARIABLE}={seed}");
    seed
}

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the bound, which must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A span up to the longest one, to the millisecond.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap();
        Duration::from_millis(self.below(longest + 1))
    }
}
