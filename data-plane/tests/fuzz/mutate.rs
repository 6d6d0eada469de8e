//! Makes new inputs of old ones: a pure function of seed, corpus and words.

use toolplane_testkit::fault_proxy::Random;

/// Largest input that is made.
const MAX_BYTES: usize = 32 << 10;
/// Most changes to one input.
const MAX_CHANGES: u64 = 6;
/// How often a piece is repeated at most: enough for nesting beyond any recursion limit.
const MAX_REPEATS: u64 = 4096;
/// Bytes at which readers go wrong.
const ODD_BYTES: [u8; 12] = [0, 1, 0x0a, 0x0d, 0x1f, 0x22, 0x5c, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/// An endless source of inputs.
#[derive(Debug)]
pub(crate) struct Mutator<'a> {
    random: Random,
    corpus: &'a [Vec<u8>],
    words: &'a [&'a [u8]],
}

impl<'a> Mutator<'a> {
    /// Changes inputs of the corpus, which must not be empty, with the words among other things.
    pub(crate) fn new(seed: u64, corpus: &'a [Vec<u8>], words: &'a [&'a [u8]]) -> Self {
        Self { random: Random::new(seed), corpus, words }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick(self.corpus).clone();
        for _ in 0..=self.random.below(MAX_CHANGES) {
            self.change(&mut input);
            input.truncate(MAX_BYTES);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.index(input.len() + 1);
        match self.random.below(10) {
            0 => drop(input.splice(at..at, [self.byte()])),
            1 if at < input.len() => input[at] = self.byte(),
            2 if at < input.len() => input[at] ^= 1 << self.random.below(8),
            3 => input.truncate(at),
            4 => {
                let piece = self.piece_of(input);
                input.drain(piece);
            }
            5 => {
                let piece = self.piece_of(input);
                let copy = input[piece].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                let word = *self.pick(self.words);
                input.splice(at..at, word.iter().copied());
            }
            7 => {
                let (word, times) = (*self.pick(self.words), self.index(MAX_REPEATS as usize));
                let fits = times.min(MAX_BYTES / word.len().max(1));
                input.splice(at..at, word.repeat(fits));
            }
            8 => {
                let (old, word) = (self.piece_of(input), *self.pick(self.words));
                input.splice(old, word.iter().copied());
            }
            _ => {
                let other = self.pick(self.corpus);
                let piece = self.piece_of(other);
                input.splice(at.., other[piece].iter().copied());
            }
        }
    }

    fn byte(&mut self) -> u8 {
        if self.random.below(2) == 0 { *self.pick(&ODD_BYTES) } else { self.random.number() as u8 }
    }

    /// A piece, short ones more often than long ones.
    fn piece_of(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.index(input.len() + 1);
        let longest = self.index(input.len() - start + 1);
        start..start + self.index(longest + 1)
    }

    fn pick<T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    fn index(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }
}
