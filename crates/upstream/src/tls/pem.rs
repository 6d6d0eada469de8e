//! PEM texts (RFC 7468). What is wrong with one is said in words of ours: the parser's own may repeat the text.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(super) const DAMAGED: &str = "holds a damaged certificate";
/// How an encrypted private key begins (RFC 5958), and one in the older form of OpenSSL.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// Every certificate, in order.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("holds no certificate in PEM"),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(DAMAGED),
    }
}

/// The first private key.
pub(super) fn key(text: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    if ENCRYPTED.iter().any(|beginning| text.contains(beginning)) {
        return Err("is encrypted: give the key without a passphrase");
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| "holds no private key in PEM")
}
