//! A control plane on a socket and nodes that follow it.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Process, Setup, operator, ready, standalone};

/// A control plane on a socket, and what nodes need to reach it.
pub(crate) struct Split {
    pub(crate) folder: TempDir,
    setup: Setup,
    address: String,
    token: PathBuf,
    /// Set for every process.
    variables: Vec<(String, String)>,
}

impl Split {
    /// Prepares a control plane on a database; start it with [`Split::control_plane`].
    pub(crate) fn new(database_url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("key"), "ab".repeat(32)).expect("a key file");
        std::fs::set_permissions(path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("rights");
        let address = format!("unix:{}", path("cp.sock").display());
        let setup = Setup::new("control-plane", &path("control"))
            .set("TOOLPLANE_SECRET_KEY_FILE", &path("key").display().to_string())
            .set("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", database_url)
            .arguments(&["--listen", &address]);
        let token = path("node.token");
        Self { folder, setup, address, token, variables: Vec::new() }
    }

    /// Sets a variable for the control plane and the nodes.
    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.setup = self.setup.set(variable, value);
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts the control plane; the first time it makes the token that nodes show.
    pub(crate) async fn control_plane(&self) -> Process {
        let (process, _) = self.setup.start("serving the admin API at").await;
        if !self.token.exists() {
            let create = ["token", "create", "--role", "node", "--allow-registration"];
            let (code, secret, said) = operator(&self.folder.path().join("control"), &create).await;
            assert_eq!(code, 0, "{said}");
            std::fs::write(&self.token, secret).expect("the token file");
        }
        process
    }

    /// Starts a node and waits until it follows.
    pub(crate) async fn node(&self, name: &str) -> (Process, String) {
        self.node_with(name, "").await
    }

    /// The same, with labels.
    pub(crate) async fn node_with(&self, name: &str, labels: &str) -> (Process, String) {
        let token = self.token.display().to_string();
        let setup = Setup::new("data-plane", &self.folder.path().join(name))
            .set("TOOLPLANE_DATA_PLANE_NODE_ID", name)
            .set("TOOLPLANE_DATA_PLANE_LABELS", labels)
            .arguments(&["--control-plane", &self.address, "--token-file", &token]);
        let setup = self.variables.iter().fold(setup, |setup, (name, value)| setup.set(name, value));
        let (process, url) = standalone(&setup).await;
        ready(&url).await;
        (process, url)
    }
}
