//! Content hashes: of one tool, of a domain's tool set, of a whole snapshot.
//!
//! Owns how values are fed to SHA-256. Two digests exist side by side: the *tool-set digest* of an upstream's
//! listing is public (controllers compare it) and leaves annotations out; the *content digest* of a domain or
//! snapshot covers everything a node holds, so that nodes can prove they serve the same.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Feeds values to a digest so that neighbouring fields cannot run into each other.
#[derive(Debug, Default)]
pub struct Hasher(Sha256);

impl Digest {
    /// The digest of a text as it is.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Wraps 32 bytes that came from elsewhere; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// Reads the form that `Display` writes: 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(out))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first `n` hexadecimal digits, for suffixes and tables.
    pub fn short(&self, n: usize) -> String {
        let mut text = self.to_string();
        text.truncate(n);
        text
    }
}

impl Hasher {
    /// Adds one field, length first.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.field(text.as_bytes())
    }

    /// Adds a field that may be absent; absent and empty differ.
    #[must_use]
    pub fn optional(self, text: Option<&str>) -> Self {
        match text {
            None => self.field(&[0]),
            Some(text) => self.field(&[1]).text(text),
        }
    }

    /// The digest of all fields.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short(12))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_together() {
        let a = Hasher::default().text("ab").text("c").finish();
        let b = Hasher::default().text("a").text("bc").finish();
        assert_ne!(a, b);
        assert_ne!(Hasher::default().optional(None).finish(), Hasher::default().optional(Some("")).finish());
    }

    #[test]
    fn hex_round_trip() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(Digest::from_hex("zz"), None);
    }
}
