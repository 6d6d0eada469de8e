//! Where the Python process listens: in a folder that nobody else can open, under a name that no other plane has.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::commands::folder::make_private;
use crate::exit::Failure;

/// Longest path of a Unix socket, as the kernel has it.
const MAX_SOCKET_PATH: usize = 107;
/// Leads to a folder elsewhere, where the data folder's path is too long.
const ELSEWHERE: &str = "elsewhere";
const PREFIX: &str = "toolplane-hooks-";

/// A place for a socket. Dropping it removes the place.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    _folder: TempDir,
}

impl Socket {
    /// A new place in a folder that is the plane's alone, as it holds the lock; removes what a killed one left there.
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        make_private(folder)?;
        clear(folder)
            .and_then(|()| place(folder))
            .map_err(|error| Failure::failed(format!("`{}` cannot be used: {error}", folder.display())))
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn place(folder: &Path) -> io::Result<Socket> {
    let private = |prefix: &str, parent: &Path| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
    };
    let near = private("", folder)?;
    let path = near.path().join("s");
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(Socket { path, _folder: near });
    }
    let far = private(PREFIX, &std::env::temp_dir())?;
    std::os::unix::fs::symlink(far.path(), folder.join(ELSEWHERE))?;
    Ok(Socket { path: far.path().join("s"), _folder: far })
}

fn clear(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Ok(far) = std::fs::read_link(&path) {
            std::fs::remove_file(&path)?;
            let is_ours = far.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
            if is_ours && far.is_dir() {
                std::fs::remove_dir_all(far)?;
            }
        } else if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_place_of_its_own_and_what_a_killed_one_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        for folder in [parent.path().join("hooks/node"), parent.path().join("x".repeat(100))] {
            let killed = Socket::new(&folder).unwrap();
            let left = killed.path().to_owned();
            std::fs::write(&left, "").unwrap();
            assert!(left.as_os_str().len() <= MAX_SOCKET_PATH);
            let mode = std::fs::metadata(left.parent().unwrap()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            std::mem::forget(killed);
            let next = Socket::new(&folder).unwrap();
            assert_ne!(next.path(), left);
            assert!(!left.exists(), "sockets pile up");
            let (path, gone) = (next.path().parent().unwrap().to_owned(), next);
            drop(gone);
            assert!(!path.exists());
        }
    }
}
