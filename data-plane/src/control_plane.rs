//! The channels to the control planes.
//!
//! Owns connecting, the node token, deadlines and sizes, and which control plane is asked: the one whose stream
//! works. Never interprets an answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;
use toolplane_proto::sync::sync_service_client::SyncServiceClient;

use crate::options::{Address, Options};

/// A client that presents the node token.
type Authorized = InterceptedService<Channel, NodeToken>;

/// Why the channels cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the authority's certificate cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS settings or the address are not usable.
    #[error("cannot set up the channel to control plane `{address}`: {source}")]
    Channel {
        /// The control plane.
        address: String,
        /// What is wrong.
        source: tonic::transport::Error,
    },
    /// The node token holds characters that no header may hold.
    #[error("the node token holds characters that cannot be sent")]
    Token,
}

/// The control planes of a node. Clones share the channels.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlanes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    addresses: Vec<Address>,
    channels: Vec<Channel>,
    token: NodeToken,
    timeout: Duration,
    max_update_bytes: usize,
    preferred: AtomicUsize,
}

/// Adds the node token to every request.
#[derive(Debug, Clone)]
pub(crate) struct NodeToken(Option<MetadataValue<Ascii>>);

impl ControlPlanes {
    /// Sets up channels that connect when they are first used.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let tls = tls(options)?;
        let channels = options
            .control_planes
            .iter()
            .map(|address| channel(address, &tls))
            .collect::<Result<Vec<_>, _>>()?;
        let token = match &options.node_token {
            None => None,
            Some(token) => {
                let mut value: MetadataValue<Ascii> =
                    format!("Bearer {}", token.expose()).parse().map_err(|_| Error::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                addresses: options.control_planes.clone(),
                channels,
                token: NodeToken(token),
                timeout: options.control_plane_timeout,
                max_update_bytes: options.max_update_bytes,
                preferred: AtomicUsize::new(0),
            }),
        })
    }

    /// The control plane that is asked at present, in words.
    pub(crate) fn current(&self) -> Option<&Address> {
        let Shared { addresses, preferred, .. } = &*self.shared;
        addresses.get(preferred.load(Ordering::Relaxed) % addresses.len().max(1))
    }

    /// Turns to the next control plane, because the present one failed.
    pub(crate) fn turn(&self) {
        self.shared.preferred.fetch_add(1, Ordering::Relaxed);
    }

    /// A client for the snapshot stream; `None` where no control plane is configured.
    pub(crate) fn sync(&self) -> Option<SyncServiceClient<Authorized>> {
        let client = SyncServiceClient::with_interceptor(self.channel()?, self.shared.token.clone());
        Some(client.max_decoding_message_size(self.shared.max_update_bytes))
    }

    /// A client for what nodes ask on behalf of callers.
    pub(crate) fn registration(&self) -> Result<RegistrationServiceClient<Authorized>, Status> {
        let channel = self.channel().ok_or_else(|| Status::unavailable("no control plane is configured"))?;
        Ok(RegistrationServiceClient::with_interceptor(channel, self.shared.token.clone()))
    }

    /// A request that the control plane must answer in time.
    pub(crate) fn timed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.shared.timeout);
        request
    }

    fn channel(&self) -> Option<Channel> {
        let Shared { channels, preferred, .. } = &*self.shared;
        channels.get(preferred.load(Ordering::Relaxed) % channels.len().max(1)).cloned()
    }
}

impl Interceptor for NodeToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

fn tls(options: &Options) -> Result<ClientTlsConfig, Error> {
    let Some(path) = &options.control_plane_ca else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let pem = std::fs::read(path).map_err(|source| Error::Certificate { path: path.clone(), source })?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn channel(address: &Address, tls: &ClientTlsConfig) -> Result<Channel, Error> {
    let failed = |source| Error::Channel { address: address.to_string(), source };
    match address {
        Address::Tcp(uri) => {
            let mut endpoint = patient(Endpoint::from(uri.clone()));
            if uri.scheme_str() == Some("https") {
                endpoint = endpoint.tls_config(tls.clone()).map_err(failed)?;
            }
            Ok(endpoint.connect_lazy())
        }
        Address::Unix(path) => {
            let path = path.clone();
            let connect = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
            });
            // The name only fills the request's authority; the connector ignores it.
            let endpoint = Endpoint::from_static("http://control-plane.invalid");
            Ok(patient(endpoint).connect_with_connector_lazy(connect))
        }
    }
}

/// Notices a dead peer within seconds, even where nothing is sent.
fn patient(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
}
