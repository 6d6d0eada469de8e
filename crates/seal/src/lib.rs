//! Sealing of secrets at rest with a key that lives in a file.
//!
//! # Responsibilities
//!
//! * Reading a key file, or creating one that only its owner may read.
//! * Sealing bytes for a *context* (say, a table, a column and a row id) and opening them again; what was sealed
//!   for one context does not open in another.
//! * Telling a wrong key apart from damaged data, because the operator does different things about them.
//!
//! # Not here
//!
//! No choice of what is secret, no storage, no key rotation beyond the fingerprint that would allow it.
//!
//! # Layout
//!
//! [`Key`] is the whole interface; `key/file.rs` knows key files, `key.rs` the sealed format.
//!
//! ```
//! let dir = tempfile::tempdir().unwrap();
//! let key = toolplane_seal::Key::load_or_create(&dir.path().join("key")).unwrap();
//! let sealed = key.seal(b"s3cr3t", b"upstream/apollo");
//! assert_eq!(key.open(&sealed, b"upstream/apollo").unwrap(), b"s3cr3t");
//! assert!(key.open(&sealed, b"upstream/hubspot").is_err());
//! ```

mod error;
mod key;

pub use error::Error;
pub use key::Key;
