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
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;
use toolplane_proto::sync::sync_service_client::SyncServiceClient;

use crate::channel::{self, Connector};
use crate::options::{Address, Options};

/// A client that presents the node token.
type Authorized = InterceptedService<Channel, NodeToken>;
/// A client for what nodes ask on behalf of callers.
pub(crate) type Registrations = RegistrationServiceClient<Authorized>;

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

/// What it means that a request which may have been done is sent to another control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Done twice, it is the same as done once.
    Same,
    /// Once it is done, it is refused; such a refusal says nothing.
    RefusedOnceDone,
}

/// Adds the node token to every request.
#[derive(Debug, Clone)]
pub(crate) struct NodeToken(Option<MetadataValue<Ascii>>);

impl ControlPlanes {
    /// Sets up channels that connect when they are first used.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        Self::through(options, |address| Connector::new(address, &options.control_plane_tls))
    }

    /// Sets up channels over the connections that these connectors make.
    pub(crate) fn through(
        options: &Options,
        connector: impl Fn(&Address) -> Connector,
    ) -> Result<Self, Error> {
        let links =
            options.control_planes.iter().map(|address| Link::new(address, connector(address))).collect();
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

    /// Asks on behalf of a caller. Where a control plane cannot be reached or is unavailable, the next one is asked, each
    /// of them once: one that is restarted is no reason to refuse a caller.
    pub(crate) async fn ask<T: Clone, R, Asked>(
        &self,
        message: T,
        again: Again,
        ask: impl Fn(Registrations, Request<T>) -> Asked,
    ) -> Result<R, Status>
    where
        Asked: Future<Output = Result<Response<R>, Status>>,
    {
        let Shared { links, preferred, token, .. } = &*self.shared;
        let first = preferred.load(Ordering::Relaxed);
        let mut lost = None;
        for offset in 0..links.len() {
            let Some(link) = links.get(first.wrapping_add(offset) % links.len()) else { break };
            let client = RegistrationServiceClient::with_interceptor(link.channel.clone(), token.clone());
            match ask(client, self.timed(message.clone())).await {
                Err(status) if is_lost(&status) => lost = Some(status),
                Err(status) => {
                    return Err(lost.filter(|_| again == Again::RefusedOnceDone).unwrap_or(status));
                }
                Ok(response) => return Ok(response.into_inner()),
            }
        }
        Err(lost.unwrap_or_else(|| Status::unavailable("no control plane is configured")))
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

/// Whether another control plane may do better: the connection failed, before or after the request was sent, or the
/// control plane is stopping or without its database. What a control plane says has no source.
fn is_lost(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    if cause.is_none() {
        return status.code() == Code::Unavailable && !is_about_an_upstream(status);
    }
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            // Whoever asked has waited long enough.
            return false;
        }
        cause = error.source();
    }
    true
}

/// What an upstream does not give one control plane it does not give the next.
fn is_about_an_upstream(status: &Status) -> bool {
    status.get_error_details().error_info().is_some_and(|info| info.reason == "upstream_not_ready")
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
    fn new(address: &Address, connector: Connector) -> Self {
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
