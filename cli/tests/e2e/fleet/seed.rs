//! Chance that can be repeated.

use std::time::Duration;

/// Repeats a run where it is set to the number that the run printed.
const VARIABLE: &str = "TOOLPLANE_TEST_SEED";

/// Numbers that look random and follow from one (`SplitMix64`, public domain).
#[derive(Debug, Clone)]
pub(crate) struct Seed(u64);

impl Seed {
    /// A new one, or the one that the variable names; it is printed.
    pub(crate) fn choose() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the person who repeats a run says so")]
        let named = std::env::var(VARIABLE).ok();
        let seed = match &named {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{VARIABLE} is no number: {text}")),
            None => u64::from(getrandom::u32().expect("randomness")),
        };
        #[expect(clippy::print_stdout, reason = "whoever reads of a failure needs the seed")]
        {
            println!("{VARIABLE}={seed}");
        }
        Self(seed)
    }

    /// Another sequence that follows from the same number.
    pub(crate) fn fork(&self, index: u64) -> Self {
        let mut own = Self(self.0 ^ index.wrapping_mul(0xa076_1d64_78bd_642f));
        own.next();
        own
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a length");
        usize::try_from(self.next() % end).expect("less than a length")
    }

    /// A pause shorter than another.
    pub(crate) fn pause(&mut self, longest: Duration) -> Duration {
        let millis = usize::try_from(longest.as_millis()).expect("a short pause");
        Duration::from_millis(u64::try_from(self.below(millis.max(1))).expect("a short pause"))
    }
}
