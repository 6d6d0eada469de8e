//! The connecting side.
//!
//! Owns how a server is checked and what is shown to it. The files are read for each connection, so that those that
//! were replaced are in use from the next one on.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use toolplane_registry::{Rejection, Rule};

use crate::files::{self, Pem};
use crate::server::PLAIN_ANSWER;

/// The files of a client. All of them may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The only authorities to trust, PEM; absent trusts the system's.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown, with those that lead to its authority, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// A connection that notes in words what the server objects to.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    objection: Objection,
    has_read: bool,
}

/// What a server last objected to. Clones share it.
///
/// A refusal may reach the client when nothing is being asked; whoever asks next learns only that the connection is
/// closed, and can look here for the reason.
#[derive(Debug, Clone, Default)]
pub struct Objection(Arc<Mutex<Option<String>>>);

impl Objection {
    /// What it was; absent while there was none since [`Objection::clear`].
    pub fn get(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Forgets it: a new connection is on its way.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    fn note(&self, words: impl Into<String>) {
        *self.lock() = Some(words.into());
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Connection<S> {
    /// Watches a connection; one in the clear learns by it that the server speaks TLS.
    pub fn new(stream: S, objection: Objection) -> Self {
        Self { stream, objection, has_read: false }
    }
}

impl Files {
    /// Reads the files and checks that they fit.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn check(&self) -> Result<(), Vec<Rejection>> {
        self.config().map(drop)
    }

    /// Makes a connection secure, to the host that it was meant for.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        objection: Objection,
    ) -> io::Result<Connection<TlsStream<TcpStream>>> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| io::Error::other(format!("`{host}` is no name that a certificate could have")))?;
        let files = self.clone();
        let config = tokio::task::spawn_blocking(move || files.config()).await.map_err(io::Error::other)?;
        let config = config.map_err(|rejections| {
            let reasons: Vec<String> = rejections.iter().map(ToString::to_string).collect();
            io::Error::other(reasons.join("; "))
        })?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(in_words)?;
        if connected.get_ref().1.alpn_protocol() != Some(crate::ALPN) {
            return Err(io::Error::other("the server does not speak HTTP/2 there"));
        }
        Ok(Connection::new(connected, objection))
    }

    fn config(&self) -> Result<ClientConfig, Vec<Rejection>> {
        let authorities = match &self.ca {
            Some(path) => Pem::read("certificate authority file", path).and_then(|pem| pem.authorities()),
            None => Ok(system_authorities()),
        };
        let (authorities, identity) = match (authorities, self.identity()) {
            (Ok(authorities), Ok(identity)) => (authorities, identity),
            (authorities, identity) => {
                return Err(authorities
                    .err()
                    .into_iter()
                    .chain(identity.err().into_iter().flatten())
                    .collect());
            }
        };
        let builder = ClientConfig::builder_with_provider(crate::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| vec![Rejection::new("TLS", Rule::Setting, error.to_string())])?
            .with_root_certificates(authorities);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        };
        config.alpn_protocols = vec![crate::ALPN.to_vec()];
        Ok(config)
    }

    fn identity(&self) -> Result<Option<CertifiedKey>, Vec<Rejection>> {
        let lonely = |file: &std::path::Path, missing: &str| {
            let subject = format!("client certificate or key `{}`", file.display());
            Err(vec![Rejection::new(subject, Rule::Setting, format!("needs {missing} too"))])
        };
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), None) => lonely(certificate, "the key file"),
            (None, Some(key)) => lonely(key, "the certificate file"),
            (Some(certificate), Some(key)) => {
                let certificate = Pem::read("client certificate file", certificate);
                match (certificate, Pem::read("client key file", key)) {
                    (Ok(certificate), Ok(key)) => files::identity(&certificate, &key).map(Some),
                    (certificate, key) => Err([certificate.err(), key.err()].into_iter().flatten().collect()),
                }
            }
        }
    }
}

/// None at all is told by the handshake, which finds no authority for the server.
fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Some stores hold certificates that do not parse; the others are no worse for it.
    let _counts = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

// ---- words ----

/// What went wrong, for an operator. The library's own words name the check, not the remedy.
fn in_words(error: io::Error) -> io::Error {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return error;
    };
    let words = match cause {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the server does not trust the authority of this client's certificate".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "this client's certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is from an authority that is not trusted here".to_owned()
        }
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS there".to_owned(),
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // In TLS 1.3 a client certificate is refused after the handshake, from the client's point of view.
        let start = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer).map_err(in_words);
        match &polled {
            Poll::Ready(Err(error)) => self.objection.note(error.to_string()),
            Poll::Ready(Ok(())) if !self.has_read => {
                self.has_read = true;
                if buffer.filled().get(start..).is_some_and(|read| read.starts_with(PLAIN_ANSWER)) {
                    self.objection.note("the server speaks TLS there: use https://");
                }
            }
            _ => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
