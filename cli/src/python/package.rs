//! The Python package, as it lies in this binary.
//!
//! What is unpacked runs with the gateway's account, so nobody else may write it, and it is there as a whole or not at
//! all: a folder has the digest of its contents as its name, is made under another name and moved. Releases and planes
//! that share a data folder do not get into each other's way.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use toolplane_registry::digest::Hasher;

use crate::commands::folder::make_private;
use crate::exit::Failure;

/// Names and contents of its files.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/python_package.rs"));
const NAME: &str = "toolplane_hooks";
/// Rights of others to write.
const WRITABLE: u32 = 0o022;

/// Puts the package below a folder of its own; gives back what to put into `PYTHONPATH`.
pub(super) fn unpack(folder: &Path) -> Result<PathBuf, Failure> {
    make_private(folder)?;
    let failed =
        |error: io::Error| Failure::failed(format!("`{}` cannot be used: {error}", folder.display()));
    own(folder).map_err(failed)?;
    let hash = FILES.iter().fold(Hasher::default(), |hasher, (name, text)| hasher.text(name).text(text));
    let unpacked = folder.join(hash.finish().to_string());
    if !is_whole(&unpacked) {
        replace(folder, &unpacked).map_err(failed)?;
    }
    Ok(unpacked)
}

/// Takes the rights of others to write into a folder; fails where it belongs to somebody else.
fn own(folder: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it is not a folder of this account"));
    }
    if found.mode() & WRITABLE != 0 {
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether everything is there as it should be, and nobody else can have put something beside it.
fn is_whole(unpacked: &Path) -> bool {
    let is_private = |path: &Path| {
        std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink() && found.mode() & WRITABLE == 0)
    };
    let package = unpacked.join(NAME);
    let is_right = |(name, contents): &(&str, &str)| {
        let path = package.join(name);
        is_private(&path) && std::fs::read_to_string(path).is_ok_and(|present| present == *contents)
    };
    is_private(unpacked) && is_private(&package) && FILES.iter().all(is_right)
}

/// Unpacks under another name, then moves it to where it belongs.
fn replace(folder: &Path, unpacked: &Path) -> io::Result<()> {
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(folder)?;
    let (fresh, stale) = (draft.path().join("fresh"), draft.path().join("stale"));
    DirBuilder::new().recursive(true).mode(0o700).create(fresh.join(NAME))?;
    for (name, contents) in FILES {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(fresh.join(NAME).join(name))?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
    }
    match std::fs::rename(unpacked, &stale) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match std::fs::rename(&fresh, unpacked) {
        // Another plane was faster.
        Err(_) if is_whole(unpacked) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(folder: &Path) -> PathBuf {
        let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let found = entries.next().unwrap();
        assert_eq!(entries.next(), None, "drafts stay behind");
        found
    }

    #[test]
    fn the_package_is_whole_and_what_was_changed_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = unpack(folder.path()).unwrap();
        assert_eq!(path, only(folder.path()));
        let main = path.join("toolplane_hooks/__main__.py");
        let whole = std::fs::read_to_string(&main).unwrap();
        assert!(whole.contains("toolplane_hooks"));
        std::fs::write(&main, "broken").unwrap();
        std::fs::write(path.join("toolplane_hooks/grpc.py"), "hides another module").unwrap();
        assert_eq!(unpack(folder.path()).unwrap(), path);
        assert_eq!(std::fs::read_to_string(&main).unwrap(), whole);
        assert!(!path.join("toolplane_hooks/grpc.py").exists());
        assert_eq!(path, only(folder.path()));
        assert!(FILES.iter().any(|(name, _)| *name == "wire.lock"));
    }

    #[test]
    fn nobody_else_can_write_what_is_run() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("python");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let path = unpack(&folder).unwrap();
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o700));
        assert_eq!(mode(&path.join("toolplane_hooks/runner.py")), 0o600);
        // What others could write is not looked at: it is made anew.
        std::fs::set_permissions(path.join("toolplane_hooks"), Permissions::from_mode(0o770)).unwrap();
        std::fs::write(path.join("toolplane_hooks/planted.py"), "").unwrap();
        unpack(&folder).unwrap();
        assert_eq!(mode(&path.join("toolplane_hooks")), 0o700);
        assert!(!path.join("toolplane_hooks/planted.py").exists());
        let linked = parent.path().join("linked");
        std::os::unix::fs::symlink(&folder, &linked).unwrap();
        assert!(unpack(&linked).is_err());
    }
}
