//! The channels to the control planes.
//!
//! Owns connecting, the node token, deadlines and sizes, and which control plane is asked: the one whose stream
//! works. Never interprets an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;
use toolplane_proto::sync::sync_service_client::SyncServiceClient;
use toolplane_tls::client::Files;

use crate::channel::{self, Connector};
use crate::options::{Address, Options};

/// A client that presents the node token.
type Authorized = InterceptedService<Channel, NodeToken>;

/// Why the channels cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    links: Vec<Link>,
    token: NodeToken,
    timeout: Duration,
    max_update_bytes: usize,
    preferred: AtomicUsize,
}

/// A channel, and what makes its connections.
#[derive(Debug)]
struct Link {
    channel: Channel,
    connector: Connector,
}

/// Adds the node token to every request.
#[derive(Debug, Clone)]
pub(crate) struct NodeToken(Option<MetadataValue<Ascii>>);

impl ControlPlanes {
    /// Sets up channels that connect when they are first used.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let tls = &options.control_plane_tls;
        let links = options.control_planes.iter().map(|address| Link::new(address, tls)).collect();
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
                links,
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

    /// Why the control plane that is asked at present closed the connection, as far as it said so.
    pub(crate) fn objection(&self) -> Option<String> {
        self.link()?.connector.objection()
    }

    fn channel(&self) -> Option<Channel> {
        Some(self.link()?.channel.clone())
    }

    fn link(&self) -> Option<&Link> {
        let Shared { links, preferred, .. } = &*self.shared;
        links.get(preferred.load(Ordering::Relaxed) % links.len().max(1))
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

impl Link {
    fn new(address: &Address, tls: &Files) -> Self {
        let connector = Connector::new(address, tls);
        let endpoint = patient(channel::endpoint(address));
        Self { channel: endpoint.connect_with_connector_lazy(connector.clone()), connector }
    }
}

/// Notices a dead peer within seconds, even where nothing is sent.
fn patient(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}
