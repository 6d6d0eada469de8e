//! The key, and the format of what it seals.
//!
//! Sealed data is `format (1) · key fingerprint (4) · nonce (12) · ciphertext and tag`. The context and the first
//! five bytes are authenticated, not stored secretly. Nonces are random: 96 bits are ample for the number of
//! secrets one key ever seals.

mod file;

use std::fmt;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;

const FORMAT: u8 = 1;
const KEY_LEN: usize = 32;
const FINGERPRINT_LEN: usize = 4;
const HEADER_LEN: usize = 1 + FINGERPRINT_LEN;

/// A sealing key. Cloning is cheap enough to hand it to every part that needs it.
#[derive(Clone)]
pub struct Key {
    aead: LessSafeKey,
    mac: hmac::Key,
    fingerprint: [u8; FINGERPRINT_LEN],
}

impl Key {
    /// Reads a key file: 64 hexadecimal digits, not readable by everybody.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Ok(Self::new(&file::read(path)?))
    }

    /// Reads a key file, or creates one that only its owner may read. Processes that race agree on one key.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        match Self::load(path) {
            Err(Error::Missing(_)) => {
                file::create(path, &random::<KEY_LEN>())?;
                Self::load(path)
            }
            outcome => outcome,
        }
    }

    /// A key whose bytes somebody else keeps.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::new(bytes)
    }

    #[expect(clippy::expect_used, reason = "the length is right by type")]
    fn new(bytes: &[u8; KEY_LEN]) -> Self {
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key of 32 bytes");
        let mut context = Context::new(&SHA256);
        context.update(b"toolplane-seal fingerprint");
        context.update(bytes);
        let mut fingerprint = [0; FINGERPRINT_LEN];
        for (byte, digest) in fingerprint.iter_mut().zip(context.finish().as_ref()) {
            *byte = *digest;
        }
        // A key of its own for each purpose, so that no output of one says anything about the other.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"toolplane-seal mac");
        let mac = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Self { aead: LessSafeKey::new(unbound), mac, fingerprint }
    }

    /// A keyed hash: equal for equal bytes, and of no use for guessing them without the key.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        for (byte, tag) in out.iter_mut().zip(hmac::sign(&self.mac, bytes).as_ref()) {
            *byte = *tag;
        }
        out
    }

    /// Seals bytes for a context.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give: nothing may be sealed then.
    #[expect(clippy::expect_used, reason = "only lengths beyond 256 GiB fail")]
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_LEN>();
        let mut body = plain.to_vec();
        self.aead
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.associated(context)),
                &mut body,
            )
            .expect("a plain text of ordinary length");
        let mut sealed = Vec::with_capacity(HEADER_LEN + NONCE_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.fingerprint);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        sealed
    }

    /// Opens what [`Key::seal`] made for the same context.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let (&format, rest) = sealed.split_first().ok_or(Error::UnknownFormat)?;
        if format != FORMAT {
            return Err(Error::UnknownFormat);
        }
        let (fingerprint, rest) = rest.split_first_chunk::<FINGERPRINT_LEN>().ok_or(Error::Damaged)?;
        if *fingerprint != self.fingerprint {
            return Err(Error::WrongKey);
        }
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Error::Damaged)?;
        let mut body = body.to_vec();
        let plain_len = self
            .aead
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(self.associated(context)),
                &mut body,
            )
            .map_err(|_| Error::Damaged)?
            .len();
        body.truncate(plain_len);
        Ok(body)
    }

    fn associated(&self, context: &[u8]) -> Vec<u8> {
        let mut associated = Vec::with_capacity(HEADER_LEN + context.len());
        associated.push(FORMAT);
        associated.extend_from_slice(&self.fingerprint);
        associated.extend_from_slice(context);
        associated
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

#[expect(
    clippy::expect_used,
    reason = "without randomness no secret may be written; there is nothing to fall back to"
)]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system's source of randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; KEY_LEN])
    }

    #[test]
    fn what_was_sealed_opens_and_never_looks_the_same_twice() {
        let first = key(1).seal(b"s3cr3t", b"row 1");
        assert_eq!(key(1).open(&first, b"row 1").unwrap(), b"s3cr3t");
        assert_ne!(first, key(1).seal(b"s3cr3t", b"row 1"));
        assert!(!first.windows(6).any(|window| window == b"s3cr3t"));
        assert_eq!(key(1).open(&key(1).seal(b"", b""), b"").unwrap(), b"");
    }

    #[test]
    fn a_wrong_key_is_told_apart_from_damage() {
        let sealed = key(1).seal(b"s3cr3t", b"row 1");
        assert!(matches!(key(2).open(&sealed, b"row 1"), Err(Error::WrongKey)));
        assert!(matches!(key(1).open(&sealed, b"row 2"), Err(Error::Damaged)));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealed = key(1).seal(b"s3cr3t", b"row 1");
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(key(1).open(&changed, b"row 1").is_err(), "byte {position}");
            assert!(key(1).open(&sealed[..position], b"row 1").is_err(), "cut at {position}");
        }
        assert!(matches!(key(1).open(b"plain text", b""), Err(Error::UnknownFormat)));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key(7)), "Key([redacted])");
    }
}
