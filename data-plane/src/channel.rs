//! How a control plane or a hook service is reached: a Unix socket, TCP in the clear, or TLS.
//!
//! Owns connecting and nothing that is said over the connection; the operator's commands connect in the same way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tonic::transport::{Endpoint, Uri};
use toolplane_tls::client::{self, Files, Objection};
use tower::Service as _;

use crate::options::Address;

/// How often a peer that says nothing is asked by TCP whether it is still there, and how long what was sent may stay
/// unacknowledged, where connections are watched.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Whatever went wrong on the way to a connection.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// A connection of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection, as the channel takes it.
pub type Connected = TokioIo<Box<dyn Connection>>;

/// Opens connections in place of the system's TCP. The connection is used as it is: there is no TLS around it.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Connects to the host and port of the address.
    fn dial(&self, uri: &Uri) -> Dialing;
}

/// A connection that is being opened.
pub type Dialing = Pin<Box<dyn Future<Output = std::io::Result<Box<dyn Connection>>> + Send>>;

/// Connects to one address, each time anew: replaced certificate files are in use from the next connection on.
#[derive(Debug, Clone)]
pub struct Connector {
    address: Address,
    files: Files,
    objection: Objection,
    dial: Option<Arc<dyn Dial>>,
    is_watched: bool,
}

/// What a channel to the address says of itself. It has to be connected with a [`Connector`] of the same address.
pub fn endpoint(address: &Address) -> Endpoint {
    // The scheme decides only about TLS of the channel's own, which the connector takes off its hands.
    let plain = Endpoint::from_static("http://control-plane.invalid");
    match address {
        Address::Tcp(uri) => plain.origin(uri.clone()),
        // The name only fills the request's authority.
        Address::Unix(_) => plain,
    }
}

/// The innermost cause of a failure: the outer ones say only that there is one.
pub fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl Connector {
    /// A connector that presents and trusts what the files hold, where the address is one of TLS.
    pub fn new(address: &Address, files: &Files) -> Self {
        let (address, files, objection) = (address.clone(), files.clone(), Objection::default());
        Self { address, files, objection, dial: None, is_watched: false }
    }

    /// Lets the system's TCP find out a peer that is gone: for those who say too little over a connection to notice.
    #[must_use]
    pub fn watched(self) -> Self {
        Self { is_watched: true, ..self }
    }

    /// Takes connections to hosts from somewhere else than the system.
    #[must_use]
    pub fn dialing(self, dial: Arc<dyn Dial>) -> Self {
        Self { dial: Some(dial), ..self }
    }

    /// Why the server closed the last connection, as far as it said so.
    pub fn objection(&self) -> Option<String> {
        self.objection.get()
    }

    async fn connect(self) -> Result<Connected, Error> {
        self.objection.clear();
        let connection: Box<dyn Connection> = match &self.address {
            Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Address::Tcp(uri) if let Some(dial) = &self.dial => dial.dial(uri).await?,
            Address::Tcp(uri) => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                if self.is_watched {
                    tcp.set_keepalive(Some(KEEPALIVE));
                    tcp.set_keepalive_interval(Some(KEEPALIVE));
                    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
                    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
                }
                let stream = tcp.call(uri.clone()).await?.into_inner();
                match uri.host().filter(|_| self.address.is_tls()) {
                    None => Box::new(client::Connection::new(stream, self.objection)),
                    Some(host) => Box::new(self.files.connect(stream, host, self.objection).await?),
                }
            }
        };
        Ok(TokioIo::new(connection))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Connected;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
