//! `toolplane data-plane`: one node.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use toolplane_data_plane::{Options, Service};
use toolplane_registry::Secret;

use super::folder::{Folder, make_private, write_private};
use super::{listen, start_log};
use crate::args::DataPlaneArgs;
use crate::env::{self, Variables};
use crate::exit::Failure;
use crate::python::{Runner, alongside};
use crate::settings::tls::ClientFlags;
use crate::settings::{self, DataDir, Logging, Node, Planes, Python, node};
use crate::shutdown::{self, Signals};

/// A node of a fleet has a load balancer in front that needs time to notice; elsewhere nobody wants to wait.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: DataPlaneArgs, variables: &Variables) -> Result<(), Failure> {
    let DataPlaneArgs {
        data_dir,
        listen,
        control_planes,
        token_file,
        ca_file,
        client_cert_file,
        client_key_file,
    } = args;
    let (logging, dir, mut node, python) = settings::read(variables, |reader| {
        let logging = (Logging::read(reader), settings::Telemetry::read(reader));
        settings::refuse_unsupported(reader);
        let dir = DataDir::read(reader, data_dir.data_dir.as_deref());
        let tls = ClientFlags {
            ca: ca_file.as_deref(),
            certificate: client_cert_file.as_deref(),
            key: client_key_file.as_deref(),
        };
        let flags = node::Flags { listen: listen.as_deref(), control_planes: &control_planes, tls };
        let mut node = Node::read(reader, &dir, &flags);
        if reader.text(&env::DRAIN_GRACE).is_none() {
            node.options.drain_grace = DRAIN_GRACE;
        }
        node.options.key_file = reader.text(&env::SECRET_KEY_FILE).map(PathBuf::from);
        if node.options.control_planes.is_empty() && reader.text(&env::CONTROL_PLANE_ADDRESS).is_none() {
            reader
                .mistake(&env::CONTROL_PLANE_ADDRESS, "must name a control plane, or use `--control-plane`");
        }
        (logging, dir, node, Python::read(reader, Planes::Node))
    })?;
    let telemetry = start_log(&logging.0, &logging.1, variables)?;
    let _scraped = telemetry.listen().await?;
    let signals = Signals::listen()?;
    node.options.validate().map_err(|rejections| listen::settings_failure(&rejections))?;
    let mut folder = Folder::open(dir.path(), &dir.node_lock())?;
    let runner = Runner::start(python.as_ref(), dir.path(), Planes::Node).await?;
    if let Some(runner) = &runner {
        runner.serve_node(&mut node);
    }
    let Node { options, has_id, host, port, token_file: from_variable, python_rules: _ } = node;
    make_private(&dir.node())?;
    let node_token = token_file.or(from_variable).as_deref().map(read_token).transpose()?;
    let node_id = if has_id { options.node_id } else { made_up_id(&dir.node().join("node.id"))? };
    let drain = options.drain_grace + options.drain_timeout;
    let (listener, address) = listen::tcp(&host, port).await?;
    let service = Service::new(Options { node_id, node_token, meter: telemetry.meter(), ..options })
        .map_err(listen::node_failure)?;
    let url = listen::mcp_url(address);
    folder.note(dir.node_url(), &url)?;
    tracing::info!(%url, "serving MCP at {url}");
    let shutdown = CancellationToken::new();
    let running = async {
        let outcome = Box::pin(alongside(runner, service.run(listener, shutdown.clone()))).await;
        drop(folder);
        outcome.map_err(Failure::failed)
    };
    shutdown::supervise(running, &shutdown, drain, signals).await
}

fn read_token(path: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("token file `{}` cannot be read: {error}", path.display()))
    })?;
    match text.trim() {
        "" => Err(Failure::usage(format!("token file `{}` is empty", path.display()))),
        token => Ok(Secret::new(token.to_owned())),
    }
}

/// A name that nobody chose is made once and kept: a node that comes back is the same node.
fn made_up_id(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::failed(format!("`{}` cannot be used: {error}", path.display()));
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("no randomness is to be had: {error}")))?;
    let id = format!("node-{:016x}", u64::from_be_bytes(bytes));
    write_private(path, &id).map_err(failed)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_id_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.id");
        let id = made_up_id(&path).unwrap();
        assert_eq!(made_up_id(&path).unwrap(), id);
        assert_ne!(made_up_id(&dir.path().join("other.id")).unwrap(), id);
    }

    #[test]
    fn a_token_file_has_to_hold_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        assert!(read_token(&dir.path().join("empty")).is_err());
        assert!(read_token(&dir.path().join("missing")).is_err());
    }
}
