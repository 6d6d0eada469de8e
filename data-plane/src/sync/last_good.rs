//! The newest snapshot the node accepted, on its own disk, so that it can start with nobody to ask.
//!
//! Owns the file: `TPLG · format (1) · SHA-256 of the rest · sealed full update`. The checksum tells a damaged file
//! from one of another key. Writing goes through a temporary file, so a crash leaves the old one or the new one.
//! Never fails a start: what cannot be read is set aside with a warning.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use toolplane_proto::encode;
use toolplane_proto::sync::Update;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::{Digest, Rejection, Version};
use toolplane_seal::Key;

use super::apply;
use crate::live::Served;

const MAGIC: &[u8] = b"TPLG";
const FORMAT: u8 = 1;
const DIGEST_LEN: usize = 32;
const CONTEXT: &[u8] = b"last-known-good";
const FILE: &str = "last-good.bin";
const KEY_FILE: &str = "node.key";

/// Why the store of the last-known-good snapshot cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be made.
    #[error("cannot create `{path}`: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] toolplane_seal::Error),
}

/// Why a file that is there cannot be served.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is no last-known-good file")]
    Foreign,
    #[error("its format is {0}, and this release knows {FORMAT}: another release wrote it")]
    Format(u8),
    #[error("it is damaged")]
    Damaged,
    #[error("it cannot be opened: {0}")]
    Sealed(#[from] toolplane_seal::Error),
    #[error("it cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("it contradicts itself: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rejected(Vec<Rejection>),
}

/// Where the snapshot is kept, and the key that seals it.
#[derive(Debug)]
pub(crate) struct LastGood {
    path: PathBuf,
    key: Key,
}

impl LastGood {
    /// Prepares the directory and the key.
    pub(crate) fn open(data_dir: &Path, key_file: Option<&Path>) -> Result<Self, Error> {
        std::fs::create_dir_all(data_dir)
            .map_err(|source| Error::Directory { path: data_dir.to_owned(), source })?;
        let default_key = data_dir.join(KEY_FILE);
        let key = Key::load_or_create(key_file.unwrap_or(&default_key))?;
        Ok(Self { path: data_dir.join(FILE), key })
    }

    /// Reads what was kept, and how long ago. A file that cannot be served is renamed out of the way.
    pub(crate) fn read(&self) -> Option<(Served, Duration)> {
        match self.try_read() {
            Ok(served) => served.map(|served| (served, self.age())),
            Err(error) => {
                let aside = self.path.with_extension("refused");
                let moved = std::fs::rename(&self.path, &aside).is_ok();
                tracing::warn!(path = %self.path.display(), moved, "set the last-known-good file aside: {error}");
                None
            }
        }
    }

    /// Since when the file has not been written; a clock that was set back makes it new.
    fn age(&self) -> Duration {
        let modified = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default()
    }

    fn try_read(&self) -> Result<Option<Served>, Unreadable> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.parse(&bytes).map(Some)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Served, Unreadable> {
        let rest = match bytes.strip_prefix(MAGIC) {
            Some([FORMAT, rest @ ..]) => rest,
            Some([other, ..]) => return Err(Unreadable::Format(*other)),
            // Cut off before its first byte is damage, not another program's file.
            Some([]) => return Err(Unreadable::Damaged),
            None if MAGIC.starts_with(bytes) => return Err(Unreadable::Damaged),
            None => return Err(Unreadable::Foreign),
        };
        let (checksum, sealed) = rest.split_first_chunk::<DIGEST_LEN>().ok_or(Unreadable::Damaged)?;
        if Digest::of(sealed).as_bytes() != checksum {
            return Err(Unreadable::Damaged);
        }
        let update = Update::decode(self.key.open(sealed, CONTEXT)?.as_slice())?;
        let nothing = Builder::new(Version::none()).build().map_err(Unreadable::Rejected)?;
        let snapshot = apply::apply(&nothing, update).map_err(Unreadable::Rejected)?;
        Served::new(snapshot).map_err(Unreadable::Rejected)
    }

    /// Keeps what is served; `false` with a warning when the disk refuses.
    pub(crate) async fn write(file: Arc<Self>, served: Arc<Served>) -> bool {
        let written = super::aside(move || {
            file.try_write(&served).map_err(|error| (file.path.display().to_string(), error))
        });
        match written.await {
            Some(Ok(())) => true,
            Some(Err((path, error))) => {
                tracing::warn!(path, %error, "cannot keep the last-known-good snapshot");
                false
            }
            None => false,
        }
    }

    fn try_write(&self, served: &Served) -> std::io::Result<()> {
        fail::fail_point!("node.persist.before");
        let update = encode::full_update(served.snapshot(), "last-known-good".to_owned());
        let sealed = self.key.seal(&update.encode_to_vec(), CONTEXT);
        let temporary = self.path.with_extension("new");
        // Sealed as it is, it is still nobody else's business.
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&head(&sealed))?;
        fail::fail_point!("node.persist.half-written");
        file.write_all(&sealed)?;
        file.sync_all()?;
        fail::fail_point!("node.persist.written");
        std::fs::rename(&temporary, &self.path)?;
        fail::fail_point!("node.persist.renamed");
        // The rename itself is only durable once the directory is.
        self.path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// What stands in front of the sealed part.
fn head(sealed: &[u8]) -> Vec<u8> {
    [MAGIC, &[FORMAT], Digest::of(sealed).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use toolplane_registry::test_util::{a_domain, a_tool};

    use super::*;

    fn served() -> Arc<Served> {
        let builder = Builder::new(Version::new("s", 7)).domain(a_domain("a", vec![a_tool("x")]));
        Arc::new(Served::new(builder.build().unwrap()).unwrap())
    }

    #[tokio::test]
    async fn what_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(LastGood::open(dir.path(), None).unwrap());
        assert!(file.read().is_none());
        assert!(LastGood::write(Arc::clone(&file), served()).await);
        let again = LastGood::open(dir.path(), None).unwrap().read().unwrap().0;
        assert_eq!(again.snapshot().version(), &Version::new("s", 7));
        assert_eq!(again.snapshot().digest(), served().snapshot().digest());
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"http"), "the content is sealed");
    }

    #[tokio::test]
    async fn a_damaged_or_foreign_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(LastGood::open(dir.path(), None).unwrap());
        let path = dir.path().join(FILE);
        assert!(LastGood::write(Arc::clone(&file), served()).await);
        let good = std::fs::read(&path).unwrap();
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (bad, said) in [
            (b"".to_vec(), "damaged"),
            (b"TPL".to_vec(), "damaged"),
            (b"TPLG\x02rest".to_vec(), "its format is 2, and this release knows 1"),
            (b"something else".to_vec(), "no last-known-good file"),
            (good[..20].to_vec(), "damaged"),
            (good[..good.len() - 1].to_vec(), "damaged"),
            (flipped, "damaged"),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = file.try_read().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(file.read().is_none());
            assert!(!path.exists() && dir.path().join("last-good.refused").exists());
        }
        let other_key = dir.path().join("other.key");
        std::fs::write(&path, good).unwrap();
        assert!(LastGood::open(dir.path(), Some(&other_key)).unwrap().read().is_none());
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_reported_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = Arc::new(LastGood::open(&dir.path().join("sub"), None).unwrap());
        std::fs::remove_dir_all(dir.path().join("sub")).unwrap();
        assert!(!LastGood::write(file, served()).await);
    }
}
