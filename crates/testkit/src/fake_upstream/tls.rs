//! TLS in front of a scripted upstream.
//!
//! Every connection is secured as the settings say when it comes. Whoever does not get through is turned away the way
//! servers do it, by an alert, and heard out first: a connection that is closed with something unread is reset, and
//! that may overtake the alert.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::serve::Listener;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Authority;
use crate::authority::Pair;

/// How an upstream secures its connections.
#[derive(Debug, Clone)]
pub struct Tls {
    pair: Pair,
    clients: Option<String>,
    protocols: Vec<Vec<u8>>,
    only_tls12: bool,
}

/// The settings of a running upstream, for connections that are still to come.
pub(super) type Current = Arc<Mutex<Arc<ServerConfig>>>;

impl Tls {
    /// Shows a certificate, asks for none, and offers HTTP/2 and HTTP/1.1.
    pub fn new(pair: Pair) -> Self {
        Self { pair, clients: None, protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()], only_tls12: false }
    }

    /// Lets nobody in without a certificate of this authority.
    #[must_use]
    pub fn clients_of(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.pem().to_owned());
        self
    }

    /// Offers no HTTP/2.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.protocols = vec![b"http/1.1".to_vec()];
        self
    }

    /// Speaks TLS 1.2 and nothing newer.
    #[must_use]
    pub fn tls12(mut self) -> Self {
        self.only_tls12 = true;
        self
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = if self.only_tls12 {
            builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap()
        } else {
            builder.with_safe_default_protocol_versions().unwrap()
        };
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.pair.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.pair.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
        config.alpn_protocols.clone_from(&self.protocols);
        Arc::new(config)
    }
}

/// Secured connections. Handshakes run side by side, so that one that hangs keeps nobody waiting.
pub(super) struct Secured {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    _accepting: JoinSet<()>,
}

impl Secured {
    pub(super) fn new(listener: TcpListener, current: Current) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, ready) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut handshakes = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let (config, sender) = (Arc::clone(&current.lock().unwrap()), sender.clone());
                handshakes.spawn(async move {
                    if let Some(stream) = secure(stream, config).await {
                        // Nobody waits any more where the upstream stops.
                        sender.send((stream, peer)).await.ok();
                    }
                });
                while handshakes.try_join_next().is_some() {}
            }
        });
        Self { address, ready, _accepting: accepting }
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn secure(stream: TcpStream, config: Arc<ServerConfig>) -> Option<TlsStream<TcpStream>> {
    stream.set_nodelay(true).unwrap();
    match TlsAcceptor::from(config).accept(stream).into_fallible().await {
        Ok(stream) => Some(stream),
        Err((_refused, mut stream)) => {
            stream.shutdown().await.ok();
            let mut unread = [0; 4096];
            while matches!(stream.read(&mut unread).await, Ok(read) if read > 0) {}
            None
        }
    }
}
