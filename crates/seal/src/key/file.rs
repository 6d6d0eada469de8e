//! Key files: their text form, their permissions, and creating one atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{KEY_LEN, random};
use crate::Error;

/// Reads and checks a key file.
pub(super) fn read(path: &Path) -> Result<[u8; KEY_LEN], Error> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing(path.to_owned()),
        io::ErrorKind::InvalidData => Error::Malformed(path.to_owned()),
        _ => Error::Read { path: path.to_owned(), source },
    })?;
    check_mode(path)?;
    parse(text.trim()).ok_or_else(|| Error::Malformed(path.to_owned()))
}

/// Creates a key file unless there is one already.
///
/// The file appears under its name complete or not at all, and a second process never replaces it: the name is
/// a hard link to a finished temporary file, and linking fails where the name is taken.
pub(super) fn create(path: &Path, key: &[u8; KEY_LEN]) -> Result<(), Error> {
    let failed = |source| Error::Create { path: path.to_owned(), source };
    let temporary = temporary_beside(path);
    let linked = write_new(&temporary, &hex(key)).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed(source)),
        Ok(()) => removed.and_then(|()| sync_directory(path)).map_err(failed),
    }
}

fn parse(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    if text.len() != 2 * KEY_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", hex(&random::<8>())))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Without this the name may be gone after a power cut, and with it everything sealed.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    // Group rights are fine: orchestrators mount secrets for a group.
    if mode & 0o007 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_key_file_is_read_with_or_without_a_final_newline() {
        let digits = "0aF".repeat(21) + "b";
        for text in [digits.clone(), format!("{digits}\n")] {
            let (_dir, path) = written(&text, 0o600);
            assert_eq!(read(&path).unwrap()[0], 0x0a);
        }
    }

    #[test]
    fn mistakes_are_one_line_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Key::load(&dir.path().join("nowhere")).unwrap_err();
        assert!(matches!(&missing, Error::Missing(path) if path.ends_with("nowhere")), "{missing}");
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(65), &"é".repeat(32)] {
            let (_dir, path) = written(text, 0o600);
            let error = Key::load(&path).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{error}");
            assert!(!error.to_string().contains('\n') && error.to_string().contains("key"));
        }
    }

    #[test]
    fn a_file_open_to_everybody_is_refused() {
        let (_dir, path) = written(&"a".repeat(64), 0o644);
        assert!(matches!(Key::load(&path), Err(Error::Exposed { mode: 0o644, .. })));
        assert!(
            matches!(Key::load_or_create(&path), Err(Error::Exposed { .. })),
            "it is not replaced either"
        );
        let (_dir, path) = written(&"a".repeat(64), 0o440);
        assert!(Key::load(&path).is_ok());
    }

    #[test]
    fn processes_that_race_agree_on_one_private_key() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Key::load_or_create(&path).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let sealed = keys[0].seal(b"x", b"");
        assert!(keys.iter().all(|key| key.open(&sealed, b"").is_ok()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let error = Key::load_or_create(&dir.path().join("no/such/dir/key")).unwrap_err();
        assert!(matches!(error, Error::Create { .. }), "{error}");
    }
}
