//! The data folder and what lies in it.

use std::path::{Path, PathBuf};

use super::Reader;
use crate::env;

/// The folder that a gateway keeps its data in, and by which commands on the same machine find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// `--data-dir`, or the variable, or the user's data folder.
    pub(crate) fn read(reader: &mut Reader<'_>, flag: Option<&Path>) -> Self {
        if let Some(path) = flag.or_else(|| reader.text(&env::DATA_DIR).map(Path::new)) {
            // Sockets are named by absolute paths. Without a working directory the path stays as it is.
            return Self(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        }
        let base = match (reader.text(&env::XDG_DATA_HOME), reader.text(&env::HOME)) {
            // The XDG rules have relative paths ignored.
            (Some(base), _) if Path::new(base).is_absolute() => PathBuf::from(base),
            (_, Some(home)) => Path::new(home).join(".local/share"),
            (_, None) => {
                reader.mistake(&env::DATA_DIR, "must be set where `HOME` is not, or use `--data-dir`");
                PathBuf::new()
            }
        };
        Self(base.join("toolplane"))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Held locked by the gateway that uses the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("gateway.lock")
    }

    /// Held locked by the node that uses the folder, where it is on its own.
    pub(crate) fn node_lock(&self) -> PathBuf {
        self.0.join("node.lock")
    }

    /// The embedded database.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("toolplane.db")
    }

    /// The key that seals secrets in the database.
    pub(crate) fn secret_key(&self) -> PathBuf {
        self.0.join("secret.key")
    }

    /// Where a gateway on this machine serves the admin API.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// The first admin token.
    pub(crate) fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    /// The token of the node inside `standalone`.
    pub(crate) fn node_token(&self) -> PathBuf {
        self.0.join("node.token")
    }

    /// The data of the node.
    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node")
    }

    /// The address of the MCP endpoint while a gateway runs.
    pub(crate) fn node_url(&self) -> PathBuf {
        self.0.join("node.url")
    }

    /// The address of the admin API while a gateway runs.
    pub(crate) fn admin_url(&self) -> PathBuf {
        self.0.join("admin.url")
    }
}
