//! A token in a file of this machine, which somebody else replaces whenever there is a new one.
//!
//! Owns what such a file may look like. It is read anew each time, so nothing here remembers one.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use toolplane_registry::Secret;

/// Largest token: it has to fit into the header of a request.
const MAX_BYTES: u64 = 16 << 10;

/// Reads the token. What is wrong is told with the name of the file and without its content.
pub(super) async fn read(path: &Path) -> Result<Secret, String> {
    let named = format!("token file `{}`", path.display());
    let path = path.to_owned();
    // A volume of the network may take its time; nobody else waits for it.
    let read = tokio::task::spawn_blocking(move || read_now(&path)).await;
    let read = read.unwrap_or_else(|_| Err("could not be read".to_owned()));
    read.map_err(|reason| format!("{named} {reason}"))
}

fn read_now(path: &Path) -> Result<Secret, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::InvalidData => "holds no text".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Before it is opened: a pipe would wait for somebody who writes.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no file".to_owned());
    }
    // From here on it is one and the same file, even where it is replaced meanwhile.
    let file = File::open(path).map_err(failed)?;
    check_mode(&file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} KiB", MAX_BYTES >> 10));
    }
    match text.trim_ascii() {
        "" => Err("is empty".to_owned()),
        token if token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => {
            Ok(Secret::new(token.to_owned()))
        }
        _ => Err("holds characters that cannot be sent in a header".to_owned()),
    }
}

#[cfg(unix)]
fn check_mode(metadata: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = metadata.permissions().mode() & 0o7777;
    // Group rights are fine: orchestrators mount secrets for a group.
    if mode & 0o007 != 0 {
        return Err(format!("is open to everybody (mode {mode:04o}); `chmod o-rwx` closes it"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_metadata: &Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, content: &[u8], mode: u32) {
        let draft = path.with_extension("new");
        fs::write(&draft, content).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&draft, path).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time_with_or_without_a_final_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for token in ["one", "two\n", "three\r\n"] {
            write(&path, token.as_bytes(), 0o440);
            assert_eq!(read(&path).await.unwrap().expose(), token.trim());
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_the_name_and_without_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut reasons = vec![read(&path).await.unwrap_err(), read(folder.path()).await.unwrap_err()];
        let large = vec![b'x'; (16 << 10) + 1];
        for (content, mode) in [
            (&b" \n"[..], 0o600),
            (b"hunter2\nhunter2", 0o600),
            ("hunter2 \u{e9}".as_bytes(), 0o600),
            (b"hunter2\xff", 0o600),
            (&large, 0o600),
            (b"hunter2", 0o604),
        ] {
            write(&path, content, mode);
            reasons.push(read(&path).await.unwrap_err());
        }
        let expected = [
            "does not exist",
            "is no file",
            "is empty",
            "cannot be sent",
            "cannot be sent",
            "holds no text",
            "larger than 16 KiB",
            "(mode 0604)",
        ];
        for (reason, expected) in reasons.iter().zip(expected) {
            let is_told = reason.contains(expected) && reason.starts_with("token file `");
            assert!(is_told && !reason.contains("hunter2"), "{expected}: {reason}");
        }
        assert_eq!(reasons.len(), expected.len());
    }
}
