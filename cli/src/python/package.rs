//! The Python package, as it lies in this binary.

use std::path::{Path, PathBuf};

use crate::commands::folder::make_private;
use crate::exit::Failure;

/// Names and contents of its files.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/python_package.rs"));

/// Puts the package below a folder, which gives back what to put into `PYTHONPATH`.
pub(super) fn unpack(folder: &Path) -> Result<PathBuf, Failure> {
    let package = folder.join("toolplane_hooks");
    make_private(&package)?;
    for (name, contents) in FILES {
        let path = package.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|present| present == *contents) {
            continue;
        }
        std::fs::write(&path, contents)
            .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", path.display())))?;
    }
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_whole_and_what_was_changed_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = unpack(folder.path()).unwrap().join("toolplane_hooks/__main__.py");
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.contains("toolplane_hooks"));
        std::fs::write(&path, "broken").unwrap();
        unpack(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        assert!(FILES.iter().any(|(name, _)| *name == "wire.lock"));
    }
}
