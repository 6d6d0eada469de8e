//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Signs certificates for servers and clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Files with a certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// A certificate with its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new(name: &str) -> Self {
        Self::until(name, 4000)
    }

    /// The same, good until the beginning of a year.
    pub fn until(name: &str, year: i32) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes its certificate down, for those who are to trust it.
    pub fn write(&self, path: &Path) -> PathBuf {
        std::fs::write(path, &self.pem).unwrap();
        path.to_owned()
    }

    /// Issues a certificate for this machine.
    pub fn pair(&self, name: &str) -> Pair {
        self.pair_until(name, 4000)
    }

    /// The same, good until the beginning of a year.
    pub fn pair_until(&self, name: &str, year: i32) -> Pair {
        self.sign(name, year, &["localhost", "127.0.0.1"])
    }

    /// Issues a certificate for another host.
    pub fn pair_for(&self, host: &str) -> Pair {
        self.sign(host, 4000, &[host])
    }

    /// Issues a certificate for this machine and writes it into a folder, over one of the same name.
    pub fn issue(&self, folder: &Path, name: &str) -> Issued {
        self.pair(name).write(folder, name)
    }

    /// The same, good until the beginning of a year.
    pub fn issue_until(&self, folder: &Path, name: &str, year: i32) -> Issued {
        self.pair_until(name, year).write(folder, name)
    }

    fn sign(&self, name: &str, year: i32, hosts: &[&str]) -> Pair {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes both into a folder, over those of the same name.
    pub fn write(&self, folder: &Path, name: &str) -> Issued {
        let issued = Issued {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        std::fs::write(&issued.certificate, &self.certificate).unwrap();
        std::fs::write(&issued.key, &self.key).unwrap();
        issued
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}
