//! `toolplane control-plane`: the registry and its admin API.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use toolplane_control_plane::{Listener, Service};

use super::folder::{self, Folder};
use super::{listen, start_log};
use crate::args::ControlPlaneArgs;
use crate::env::{self, Variables};
use crate::exit::Failure;
use crate::python::{Runner, alongside};
use crate::settings::control_plane::{Flags, Listen};
use crate::settings::tls::ServerFlags;
use crate::settings::{self, ControlPlane, DataDir, Logging, Planes, Python};
use crate::shutdown::{self, Signals};

const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: ControlPlaneArgs, variables: &Variables) -> Result<(), Failure> {
    let ControlPlaneArgs { data_dir, database_url, listen, tls_cert_file, tls_key_file, tls_client_ca_file } =
        args;
    let (logging, dir, mut control, drain, python) = settings::read(variables, |reader| {
        let logging = (Logging::read(reader), settings::Telemetry::read(reader));
        settings::refuse_unsupported(reader);
        let dir = DataDir::read(reader, data_dir.data_dir.as_deref());
        let tls = ServerFlags {
            certificate: tls_cert_file.as_deref(),
            key: tls_key_file.as_deref(),
            client_ca: tls_client_ca_file.as_deref(),
        };
        let flags = Flags { database_url: database_url.as_deref(), listen: listen.as_deref(), tls };
        let control = ControlPlane::read(reader, &dir, &flags);
        let drain = reader.seconds(&env::DRAIN_TIMEOUT).unwrap_or(DEFAULT_DRAIN);
        (logging, dir, control, drain, Python::read(reader, Planes::Control))
    })?;
    let telemetry = start_log(&logging.0, &logging.1, variables)?;
    let _scraped = telemetry.listen().await?;
    let signals = Signals::listen()?;
    let mut folder = Folder::open(dir.path(), &dir.lock())?;
    let runner = Runner::start(python.as_ref(), dir.path(), Planes::Control).await?;
    if let Some(runner) = &runner {
        runner.serve_control_plane(&mut control);
    }
    let listen = control.listen.map_or_else(Listen::fallback, Ok).map_err(Failure::usage)?;
    let scheme = if control.options.tls.is_some() { "https" } else { "http" };
    let (listener, address) = bind(&listen, scheme, &dir, &mut folder).await?;
    let service =
        Service::start(toolplane_control_plane::Options { meter: telemetry.meter(), ..control.options })
            .await
            .map_err(listen::control_failure)?;
    folder.note(dir.admin_url(), &address)?;
    tracing::info!(%address, "serving the admin API at {address}");
    let shutdown = CancellationToken::new();
    let running = async {
        let outcome = Box::pin(alongside(runner, service.run(vec![listener], shutdown.clone()))).await;
        drop(folder);
        outcome.map_err(listen::control_failure)
    };
    shutdown::supervise(running, &shutdown, drain, signals).await
}

async fn bind(
    listen: &Listen,
    scheme: &str,
    dir: &DataDir,
    folder: &mut Folder,
) -> Result<(Listener, String), Failure> {
    match listen {
        Listen::Tcp(address) => {
            let (listener, address) = listen::tcp(&address.ip().to_string(), address.port()).await?;
            Ok((Listener::Tcp(listener), format!("{scheme}://{}", listen::reachable(address))))
        }
        Listen::Unix(path) => {
            let address = format!("unix:{}", path.display());
            // Another folder's lock says nothing about this socket, so whoever answers there keeps it.
            if !path.starts_with(dir.path()) && tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(Failure::failed(format!("`{}` is in use", path.display())));
            }
            if let Some(parent) = path.parent() {
                folder::make_private(parent)?;
            }
            Ok((Listener::Unix(folder.listen(path.clone())?), address))
        }
    }
}
