//! TLS settings of one upstream: whether they hold, what they say to an operator, and what connections need of them.
//!
//! Owns how the texts are read and every mistake in them, told without a word of what they hold. Never connects; that
//! is [`crate::connector`]. Never reads a file or a clock.

mod certificate;
mod pem;

use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use toolplane_registry::tls::Part;
use toolplane_registry::{Rejection, Rule, Secret, Tls};

pub use self::certificate::Certificate;

/// Largest text of one setting. A bundle of all public authorities has less.
pub const MAX_PEM_BYTES: usize = 256 << 10;

/// What TLS settings hold, for those who may not see them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// The authorities that are trusted.
    pub authorities: Vec<Certificate>,
    /// What is shown to the upstream.
    pub client: Option<Certificate>,
}

/// Checks settings at a time, in seconds since the Unix epoch; all mistakes at once, each under the path of its field.
pub fn check(tls: &Tls, now: i64) -> Result<(), Vec<Rejection>> {
    let mut rejections: Vec<Rejection> =
        Part::ALL.into_iter().filter_map(|part| too_large(tls, part)).collect();
    if rejections.is_empty() {
        rejections.extend(authorities(tls).err());
        rejections.extend(identity(tls).err().into_iter().flatten());
    }
    if rejections.is_empty() {
        let Description { authorities, client } = describe(tls);
        // Bundles keep an old authority beside its successor, so one that is over does no harm.
        let all_over = !authorities.is_empty() && authorities.iter().all(|one| one.objection(now).is_some());
        let ca = authorities.first().filter(|_| all_over).map(|one| (Part::Ca, one));
        let client = client.iter().map(|one| (Part::ClientCertificate, one));
        rejections.extend(ca.into_iter().chain(client).filter_map(|(part, one)| {
            one.objection(now).map(|objection| Rejection::new(part.path(), Rule::Setting, objection))
        }));
    }
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

/// What is set, as far as it can be read.
pub fn describe(tls: &Tls) -> Description {
    let read = |secret: Option<&Secret>| {
        let certificates = secret.and_then(|text| pem::certificates(text.expose()).ok()).unwrap_or_default();
        certificates.iter().filter_map(Certificate::of).collect::<Vec<_>>()
    };
    let client = read(tls.client_certificate.as_ref()).into_iter().next();
    Description { authorities: read(tls.ca.as_ref()), client }
}

/// The authorities that are to be trusted; `None` leaves them to the system.
pub(crate) fn authorities(tls: &Tls) -> Result<Option<RootCertStore>, Rejection> {
    let Some(ca) = &tls.ca else { return Ok(None) };
    let refused = |reason: &str| Rejection::new(Part::Ca.path(), Rule::Setting, reason);
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(ca.expose()).map_err(refused)? {
        // What the verifier can do without, an operator wants to read.
        if Certificate::of(&certificate).is_none() || roots.add(certificate).is_err() {
            return Err(refused(pem::DAMAGED));
        }
    }
    Ok(Some(roots))
}

/// What is shown to the upstream; `None` shows nothing.
pub(crate) fn identity(tls: &Tls) -> Result<Option<CertifiedKey>, Vec<Rejection>> {
    let refused = |part: Part, reason: &str| Rejection::new(part.path(), Rule::Setting, reason);
    let (certificate, key) = match (&tls.client_certificate, &tls.client_key) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(vec![refused(
                Part::ClientKey,
                "is missing: a client certificate needs its private key",
            )]);
        }
        (None, Some(_)) => {
            let reason = "is missing: a private key needs its client certificate";
            return Err(vec![refused(Part::ClientCertificate, reason)]);
        }
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let chain = pem::certificates(certificate.expose()).and_then(|chain| {
        let is_whole = chain.iter().all(|one| Certificate::of(one).is_some());
        if is_whole { Ok(chain) } else { Err(pem::DAMAGED) }
    });
    let provider = crate::connector::provider();
    let key = pem::key(key.expose()).and_then(|key| {
        let signing = provider.key_provider.load_private_key(key);
        signing.map_err(|_| "holds a damaged key, or one of a kind that is not supported")
    });
    let pair = match (chain, key) {
        (Ok(chain), Ok(key)) => CertifiedKey::new(chain, key),
        (chain, key) => {
            let chain = chain.err().map(|reason| refused(Part::ClientCertificate, reason));
            return Err(chain
                .into_iter()
                .chain(key.err().map(|why| refused(Part::ClientKey, why)))
                .collect());
        }
    };
    match pair.keys_match() {
        // Some kinds of keys do not tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Some(pair)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(vec![refused(Part::ClientKey, "does not belong to the client certificate")])
        }
        Err(_) => Err(vec![refused(Part::ClientCertificate, pem::DAMAGED)]),
    }
}

fn too_large(tls: &Tls, part: Part) -> Option<Rejection> {
    let text = tls.get(part)?.expose();
    let reason = || format!("is larger than {} KiB", MAX_PEM_BYTES >> 10);
    (text.len() > MAX_PEM_BYTES).then(|| Rejection::new(part.path(), Rule::Limit, reason()))
}

#[cfg(test)]
mod tests;
