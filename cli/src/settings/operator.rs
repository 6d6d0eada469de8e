//! How the operator's commands reach a control plane.

use std::path::{Path, PathBuf};

use toolplane_data_plane::Address;
use toolplane_registry::Secret;

use super::{DataDir, Reader, node, tls};
use crate::env;

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// From the environment.
    Token(Secret),
    /// From a file that was named.
    File(PathBuf),
    /// From the data folder, for gateways that were found there.
    DataDir,
}

/// A control plane, and what to show it.
#[derive(Debug)]
pub(crate) struct Operator {
    /// The data folder of the gateway on this machine.
    pub(crate) dir: DataDir,
    /// Addresses that were named; empty means the gateway of the data folder.
    pub(crate) addresses: Vec<Address>,
    /// The token.
    pub(crate) credential: Credential,
    /// What `https` control planes are trusted by and shown.
    pub(crate) tls: toolplane_tls::client::Files,
    /// Whether plain HTTP may leave this machine.
    pub(crate) allow_plain: bool,
}

impl Operator {
    /// Reads the settings.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        data_dir: Option<&Path>,
        control_planes: &[String],
        token_file: Option<&Path>,
    ) -> Self {
        let file = || reader.text(&env::TOKEN_FILE).map(PathBuf::from);
        let credential = match (token_file, reader.text(&env::TOKEN)) {
            (Some(path), _) => Credential::File(path.to_owned()),
            (None, Some(token)) => Credential::Token(Secret::new(token.trim().to_owned())),
            (None, None) => file().map_or(Credential::DataDir, Credential::File),
        };
        Self {
            dir: DataDir::read(reader, data_dir),
            addresses: node::addresses(reader, control_planes),
            credential,
            tls: tls::client(reader, tls::ClientFlags::default()),
            allow_plain: reader.flag(&env::CONTROL_PLANE_ALLOW_PLAIN, false),
        }
    }
}
