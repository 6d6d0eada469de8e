//! PEM files, and what is wrong with them.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use toolplane_registry::{Rejection, Rule};

/// Certificates are kilobytes; whatever is larger was named by mistake.
const MAX_BYTES: u64 = 1 << 20;

/// A file that was read, with the words that name it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pem {
    subject: String,
    bytes: Vec<u8>,
}

impl Pem {
    /// Reads a file; `what` says what it is for.
    pub(crate) fn read(what: &str, path: &Path) -> Result<Self, Rejection> {
        let subject = format!("{what} `{}`", path.display());
        let bytes = read_bounded(path).map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "does not exist".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Rejection::new(&subject, Rule::Setting, reason)
        })?;
        Ok(Self { subject, bytes })
    }

    /// Every certificate in it, in order.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Rejection> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self.refuse("holds no certificate in PEM")),
        }
    }

    /// The private key in it.
    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, Rejection> {
        // The parser's own words may repeat what stands in the file.
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| self.refuse("holds no private key in PEM"))
    }

    /// The authorities in it.
    pub(crate) fn authorities(&self) -> Result<RootCertStore, Rejection> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|_| self.refuse("holds a certificate that is no authority"))?;
        }
        Ok(roots)
    }

    pub(crate) fn refuse(&self, reason: &str) -> Rejection {
        Rejection::new(&self.subject, Rule::Setting, reason)
    }
}

/// Keys must not end up in a log.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pem").field(&self.subject).finish()
    }
}

/// A certificate with the key that belongs to it.
pub(crate) fn identity(certificate: &Pem, key: &Pem) -> Result<CertifiedKey, Vec<Rejection>> {
    let (chain, private) = match (certificate.certificates(), key.key()) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => {
            return Err([chain.err(), private.err()].into_iter().flatten().collect());
        }
    };
    CertifiedKey::from_der(chain, private, &crate::provider()).map_err(|error| {
        vec![match error {
            rustls::Error::InconsistentKeys(_) => key.refuse("does not belong to the certificate"),
            rustls::Error::InvalidCertificate(_) => certificate.refuse("holds a damaged certificate"),
            _ => key.refuse("holds a key of a kind that is not supported"),
        }]
    })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
