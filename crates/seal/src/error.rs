//! What can go wrong with a key file or with sealed data.

use std::io;
use std::path::PathBuf;

/// Why a key could not be had, or sealed data not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no key file.
    #[error("key file `{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// The key file cannot be read.
    #[error("key file `{}` cannot be read: {source}", path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file cannot be created.
    #[error("key file `{}` cannot be created: {source}", path.display())]
    Create {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file does not hold a key.
    #[error("key file `{}` must hold 64 hexadecimal digits (32 bytes), for instance from `openssl rand -hex 32`", .0.display())]
    Malformed(PathBuf),
    /// The key file is open to every account of the machine.
    #[error("key file `{}` has mode {mode:04o} and is open to everybody: take the rights of others away (`chmod o-rwx`)", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The bytes were never made by this crate, or by a newer release.
    #[error("not sealed data of a known format")]
    UnknownFormat,
    /// The data was sealed with another key.
    #[error("sealed with another key")]
    WrongKey,
    /// The data was damaged, changed, or sealed for another context.
    #[error("sealed data is damaged or belongs elsewhere")]
    Damaged,
}
