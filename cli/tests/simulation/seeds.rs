//! Which seeds are run, and what is said when one fails.

#![expect(clippy::print_stdout, reason = "a seed is shown with the output of the test that it made fail")]

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};

/// Runs one seed only.
const SEED: &str = "TOOLPLANE_SIMULATION_SEED";
/// Runs so many random seeds, besides those that are fixed.
const RUNS: &str = "TOOLPLANE_SIMULATION_RUNS";
/// Random seeds of an ordinary run.
const FEW: u64 = 2;

/// Runs the simulation with every seed that was asked for.
pub(crate) fn each(name: &str, fixed: &[u64], run: impl Fn(u64)) {
    let seeds = if let Some(seed) = number(SEED) {
        vec![seed]
    } else {
        let random = (0..number(RUNS).unwrap_or(FEW)).map(|_| getrandom::u64().expect("randomness"));
        fixed.iter().copied().chain(random).collect()
    };
    for seed in seeds {
        println!("{name}: seed {seed}");
        let told = Told { name, seed };
        run(seed);
        drop(told);
    }
}

/// A source of numbers for one part of a run: parts do not disturb each other.
pub(crate) fn source(seed: u64, part: &str, index: usize) -> SmallRng {
    let mut key = seed;
    for byte in part.bytes().chain(index.to_le_bytes()) {
        key = key.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(byte);
    }
    let mut source = SmallRng::seed_from_u64(key);
    source.next_u64();
    source
}

/// A time between the two, in milliseconds.
pub(crate) fn millis(rng: &mut impl rand::Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.random_range(from..=to))
}

/// Says how to repeat a run that panics.
struct Told<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { name, seed } = self;
            println!(
                "failed with seed {seed}; again: {SEED}={seed} cargo test -p toolplane --test simulation {name}"
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "settings of the test, not of the product")]
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}
