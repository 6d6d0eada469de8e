//! The serving side: a certificate that can be replaced while it is in use.
//!
//! Owns when changed files are taken up: once they have been the same at two looks, so that a certificate and its
//! key may be replaced one after the other, and only where they hold. There is no resumption of sessions, so every
//! new connection is held against what the files say now; those that exist already stay.

mod acceptor;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolplane_registry::Rejection;

pub(crate) use self::acceptor::PLAIN_ANSWER;
pub use self::acceptor::{Connection, Incoming, accept};
use crate::files::{self, Pem};
use crate::validity::Validity;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The files of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate and those that lead to its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM. Where it is given, a client needs a certificate.
    pub client_ca: Option<PathBuf>,
}

/// What a server presents and asks for at present. Clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    config: watch::Receiver<Arc<ServerConfig>>,
}

/// Looks at the files and takes changes up.
#[derive(Debug)]
pub struct Reloader {
    files: Files,
    config: watch::Sender<Arc<ServerConfig>>,
    /// What was found at the last look.
    seen: Found,
    /// What was last taken up or refused.
    judged: Found,
}

/// What the files hold, or why they cannot be read.
type Found = Result<Contents, Vec<Rejection>>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Contents {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
}

/// A configuration, and how its certificate stands in time.
struct Loaded {
    config: Arc<ServerConfig>,
    objection: Option<Rejection>,
    days_left: i64,
}

impl Files {
    /// Reads the files and checks that they fit.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them. A certificate that has expired is told in the log and served: no client
    /// takes it, and whatever else the process does goes on.
    pub fn load(self) -> Result<(Server, Reloader), Vec<Rejection>> {
        let contents = Contents::read(&self)?;
        let Loaded { config, objection, days_left } = contents.config(UnixTime::now())?;
        if let Some(objection) = objection {
            tracing::error!("clients will refuse the certificate: {objection}");
        } else {
            tracing::info!(days_left, "the TLS certificate is good for {days_left} days");
        }
        let (sender, receiver) = watch::channel(config);
        let (seen, judged) = (Ok(contents.clone()), Ok(contents));
        Ok((Server { config: receiver }, Reloader { files: self, config: sender, seen, judged }))
    }
}

impl Server {
    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.borrow())
    }
}

impl Reloader {
    /// Follows the files until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pace = tokio::time::interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = pace.tick() => {}
            }
            let files = self.files.clone();
            // A look that failed inside is no look; the next one comes soon.
            if let Ok(found) = tokio::task::spawn_blocking(move || Contents::read(&files)).await {
                self.look(found, UnixTime::now());
            }
        }
    }

    fn look(&mut self, found: Found, now: UnixTime) {
        let is_settled = found == self.seen;
        if is_settled && found != self.judged {
            match found.as_ref().map_err(Clone::clone).and_then(|contents| contents.replacement(now)) {
                Ok(Loaded { config, days_left, .. }) => {
                    self.config.send_replace(config);
                    tracing::info!(days_left, "took up the changed TLS files");
                }
                Err(rejections) => {
                    let reason: Vec<String> = rejections.iter().map(ToString::to_string).collect();
                    tracing::warn!("the changed TLS files are not taken up: {}", reason.join("; "));
                }
            }
            self.judged.clone_from(&found);
        }
        self.seen = found;
    }
}

impl Contents {
    fn read(files: &Files) -> Found {
        let Files { certificate, key, client_ca } = files;
        let certificate = Pem::read("TLS certificate file", certificate);
        let key = Pem::read("TLS key file", key);
        let client_ca =
            client_ca.as_deref().map(|path| Pem::read("TLS client authority file", path)).transpose();
        match (certificate, key, client_ca) {
            (Ok(certificate), Ok(key), Ok(client_ca)) => Ok(Self { certificate, key, client_ca }),
            (certificate, key, client_ca) => {
                Err([certificate.err(), key.err(), client_ca.err()].into_iter().flatten().collect())
            }
        }
    }

    fn config(&self, now: UnixTime) -> Result<Loaded, Vec<Rejection>> {
        let identity = files::identity(&self.certificate, &self.key);
        let authorities = self.client_ca.as_ref().map(Pem::authorities).transpose();
        let (identity, authorities) = match (identity, authorities) {
            (Ok(identity), Ok(authorities)) => (identity, authorities),
            (identity, authorities) => {
                return Err(identity.err().into_iter().flatten().chain(authorities.err()).collect());
            }
        };
        let validity = identity.end_entity_cert().ok().and_then(Validity::of);
        let validity =
            validity.ok_or_else(|| vec![self.certificate.refuse("holds a damaged certificate")])?;
        let unusable = |_| vec![self.certificate.refuse("cannot be used for TLS")];
        let builder = ServerConfig::builder_with_provider(crate::provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (authorities, &self.client_ca) {
            (Some(authorities), Some(file)) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), crate::provider());
                let verifier =
                    verifier.build().map_err(|_| vec![file.refuse("cannot be used to check clients")])?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = vec![crate::ALPN.to_vec()];
        // A resumed session would get past a client authority that was withdrawn since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Loaded {
            config: Arc::new(config),
            objection: validity.objection(now).map(|reason| self.certificate.refuse(reason)),
            days_left: validity.days_left(now),
        })
    }

    /// As [`Contents::config`], for files that come in place of others: those must be good now.
    fn replacement(&self, now: UnixTime) -> Result<Loaded, Vec<Rejection>> {
        let loaded = self.config(now)?;
        match loaded.objection {
            Some(objection) => Err(vec![objection]),
            None => Ok(loaded),
        }
    }
}

#[cfg(test)]
mod tests;
