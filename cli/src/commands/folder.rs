//! The data folder in use: made private, locked, and with notes for commands on the same machine.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::exit::Failure;

/// Longest path of a Unix socket, as the kernel has it, less what the draft's name adds.
const MAX_SOCKET_PATH: usize = 107 - ".draft".len();

/// A locked data folder. What it noted for others is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    lock: File,
    notes: Vec<PathBuf>,
}

impl Folder {
    /// Makes the folder where it is missing and takes the lock, which the kernel gives back however the process
    /// ends.
    pub(crate) fn open(path: &Path, lock: &Path) -> Result<Self, Failure> {
        make_private(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options
            .open(lock)
            .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", lock.display())))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { lock, notes: Vec::new() }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::failed(format!("another gateway uses the data folder `{}`", path.display()))
                    .hint("stop it, or choose another folder with `--data-dir` or TOOLPLANE_DATA_DIR"))
            }
            Err(TryLockError::Error(error)) => Err(Failure::failed(format!(
                "the data folder `{}` cannot be locked: {error}",
                path.display()
            ))),
        }
    }

    /// Writes down an address for commands on the same machine.
    pub(crate) fn note(&mut self, path: PathBuf, text: &str) -> Result<(), Failure> {
        write_private(&path, text)
            .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", path.display())))?;
        self.notes.push(path);
        Ok(())
    }

    /// Listens on a socket that only this account can open. One that a dead process left is replaced: the lock
    /// says that no live one has it.
    pub(crate) fn listen(&mut self, path: PathBuf) -> Result<UnixListener, Failure> {
        let listener = listen_privately(&path)?;
        self.notes.push(path);
        Ok(listener)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let Self { lock, notes } = self;
        for note in notes {
            // A note that stays behind leads to a connection that is refused, which says the same.
            drop(std::fs::remove_file(note));
        }
        drop(lock.unlock());
    }
}

/// Makes a folder that only this account can look into; one that exists keeps its rights.
pub(crate) fn make_private(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Failure::failed(format!("the data folder `{}` cannot be made: {error}", path.display()))
    })
}

/// Replaces a file as a whole; nobody else can read it.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// The socket gets its rights under another name, so that there is no moment in which others can open it.
pub(crate) fn listen_privately(path: &Path) -> Result<UnixListener, Failure> {
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(Failure::usage(format!(
            "`{}` is too long for a socket: {MAX_SOCKET_PATH} characters are possible",
            path.display()
        ))
        .hint("choose a shorter data folder, or another address with TOOLPLANE_CONTROL_PLANE_LISTEN"));
    }
    let failed = |error| Failure::failed(format!("`{}` cannot be listened on: {error}", path.display()));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn everything_in_the_folder_is_private_and_notes_go_with_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let mut folder = Folder::open(&path, &path.join("lock")).unwrap();
        folder.note(path.join("node.url"), "http://127.0.0.1:1/mcp").unwrap();
        let listener = folder.listen(path.join("admin.sock")).unwrap();
        assert_eq!((mode(&path), mode(&path.join("node.url"))), (0o700, 0o600));
        assert_eq!(mode(&path.join("admin.sock")), 0o600);
        drop((folder, listener));
        assert!(!path.join("node.url").exists() && !path.join("admin.sock").exists());
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_folder_is_not_shared() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        let first = Folder::open(dir.path(), &lock).unwrap();
        let second = Folder::open(dir.path(), &lock).unwrap_err();
        assert!(second.messages[0].starts_with("another gateway uses the data folder"), "{second:?}");
        drop(first);
        drop(UnixListener::bind(dir.path().join("admin.sock")).unwrap());
        let mut third = Folder::open(dir.path(), &lock).unwrap();
        assert!(third.listen(dir.path().join("admin.sock")).is_ok());
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_told() {
        let failure = listen_privately(Path::new(&format!("/{}", "x".repeat(120)))).unwrap_err();
        assert!(failure.messages[0].contains("too long"));
    }
}
