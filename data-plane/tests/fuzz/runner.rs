//! Feeds a target and judges it: no panic, no input that takes long, no input that costs memory out of proportion.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::Digest;

use crate::allocator;
use crate::mutate::Mutator;

/// For how long inputs are made; without it so many as the target says.
const SECONDS: &str = "TOOLPLANE_FUZZ_SECONDS";
/// What they follow from.
const SEED: &str = "TOOLPLANE_FUZZ_SEED";
/// Far beyond what any input takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is fed, and within which bounds.
pub(crate) struct Target {
    /// Its folder in the corpus.
    pub(crate) name: &'static str,
    /// Takes any bytes, and panics where a promise is broken.
    pub(crate) entry: fn(&[u8]),
    /// What inputs are made of, beside the corpus.
    pub(crate) words: &'static [&'static [u8]],
    /// How many inputs an ordinary run makes.
    pub(crate) inputs: u64,
    /// Bytes that any input may cost.
    pub(crate) base: usize,
    /// Bytes that each byte of an input may cost besides.
    pub(crate) per_byte: usize,
}

/// How long a run goes on.
enum Effort {
    Inputs(u64),
    Until(Instant),
}

impl Target {
    /// Feeds the corpus, `more` of it that code makes, and then inputs made of both.
    pub(crate) fn run(&self, more: Vec<Vec<u8>>) {
        let mut corpus = self.corpus();
        corpus.extend(more);
        let mut most = 0;
        for input in &corpus {
            most = most.max(self.feed(input, "of the corpus"));
        }
        let seed = number(SEED).unwrap_or(1);
        let mut mutator = Mutator::new(seed, &corpus, self.words);
        let effort = match number(SECONDS) {
            Some(seconds) => Effort::Until(Instant::now() + Duration::from_secs(seconds)),
            None => Effort::Inputs(self.inputs),
        };
        let mut fed = 0;
        while effort.goes_on(fed) {
            fed += 1;
            most = most.max(self.feed(&mutator.next(), &format!("number {fed} of {SEED}={seed}")));
        }
        let Self { name, .. } = self;
        println!(
            "{name}: {fed} inputs beside {} of the corpus, at most {most} % of the memory",
            corpus.len()
        );
    }

    /// Feeds one input: the share of the memory that it held, in percent of what it may hold.
    fn feed(&self, input: &[u8], origin: &str) -> usize {
        let began = Instant::now();
        let (outcome, held) =
            allocator::most_held(|| catch_unwind(AssertUnwindSafe(|| (self.entry)(input))).map_err(drop));
        let may_hold = self.base + self.per_byte * input.len();
        let problem = if outcome.is_err() {
            "panicked; the reason is above".to_owned()
        } else if held > may_hold {
            format!("held {held} bytes for an input of {}, and {may_hold} are allowed", input.len())
        } else if began.elapsed() > PATIENCE {
            format!("took {:?}", began.elapsed())
        } else {
            return held * 100 / may_hold;
        };
        let kept = self.keep(input);
        panic!("{}: input {origin} {problem}. It is kept in {}", self.name, kept.display());
    }

    /// Keeps an input where it can be taken into the corpus from.
    fn keep(&self, input: &[u8]) -> PathBuf {
        let name = format!("toolplane-fuzz-{}-{}", self.name, Digest::of(input).short(12));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, input).unwrap();
        path
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(self.name);
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }
}

impl Effort {
    fn goes_on(&self, fed: u64) -> bool {
        match self {
            Self::Inputs(inputs) => fed < *inputs,
            Self::Until(end) => Instant::now() < *end,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever wants a long run says so in its environment")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
