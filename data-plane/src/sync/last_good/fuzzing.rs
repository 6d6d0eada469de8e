//! Entry point for fuzzing the file in which a node keeps its snapshot.
//!
//! Owns promises and no behavior: what runs is the reader of the file. Never compiled without the feature `fuzzing`.

use std::path::PathBuf;

use toolplane_seal::Key;

use super::{CONTEXT, LastGood, head};

/// What may lie on the disk: the bytes as the file, as its sealed part, and as what was sealed.
///
/// # Panics
///
/// Where a file is served of which one byte was changed.
pub fn last_good(input: &[u8]) {
    let file = LastGood { path: PathBuf::new(), key: Key::from_bytes(&[7; 32]) };
    drop(file.parse(input));
    drop(file.parse(&[&head(input), input].concat()));
    let sealed = file.key.seal(input, CONTEXT);
    let mut whole = [head(&sealed), sealed].concat();
    drop(file.parse(&whole));
    // Where it is changed follows from the input, so that a failure can be repeated.
    let position = input.iter().fold(input.len(), |sum, byte| sum.wrapping_mul(31) ^ usize::from(*byte));
    let position = position % whole.len();
    if let Some(byte) = whole.get_mut(position) {
        *byte ^= 1;
    }
    assert!(file.parse(&whole).is_err(), "a changed file is served, byte {position}");
}
