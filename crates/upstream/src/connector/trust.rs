//! TLS of the pools, on rustls and ring: whom to trust and what to show.
//!
//! An upstream's own authorities take the place of the system's: whoever names one says who may speak for the upstream,
//! and no public authority besides. That the certificate is for the host of the address is checked in any case.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use toolplane_registry::{Rejection, Tls};

use crate::{Error, tls};

/// HTTP/2 where the upstream speaks it.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The system's authorities.
#[derive(Debug)]
pub(super) struct System(Arc<RootCertStore>);

impl System {
    /// Reads them. Without any, `https` upstreams fail and plain ones still work.
    pub(super) fn load() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some system certificates cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "loaded system certificates");
        Self(Arc::new(roots))
    }

    /// What upstreams without settings of their own are reached with.
    pub(super) fn config(&self) -> Result<ClientConfig, Error> {
        Ok(finish(builder(Arc::clone(&self.0))?.with_no_client_auth()))
    }

    /// What upstreams with these settings are reached with.
    pub(super) fn config_with(&self, settings: &Tls) -> Result<ClientConfig, Error> {
        let roots = tls::authorities(settings).map_err(|rejection| unusable(&[rejection]))?;
        let identity = tls::identity(settings).map_err(|rejections| unusable(&rejections))?;
        let builder = builder(roots.map_or_else(|| Arc::clone(&self.0), Arc::new))?;
        Ok(finish(match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        }))
    }
}

/// Named wherever a configuration is built: nothing here depends on a process-wide default.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder(roots: Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| Error::Setup(error.to_string()))?.with_root_certificates(roots))
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config
}

/// Admission lets such settings not pass; they come from a control plane of another release.
fn unusable(rejections: &[Rejection]) -> Error {
    let reasons: Vec<String> = rejections.iter().map(ToString::to_string).collect();
    Error::Tls(reasons.join("; "))
}
