//! Certificate files of both sides of the link between the planes.

use std::path::{Path, PathBuf};

use toolplane_tls::{client, server};

use super::Reader;
use super::control_plane::Listen;
use crate::env::{self, Variable};

/// What flags say about the TLS of a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerFlags<'a> {
    /// `--tls-cert-file`.
    pub(crate) certificate: Option<&'a Path>,
    /// `--tls-key-file`.
    pub(crate) key: Option<&'a Path>,
    /// `--tls-client-ca-file`.
    pub(crate) client_ca: Option<&'a Path>,
}

/// What flags say about how a control plane is trusted and what it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientFlags<'a> {
    /// `--ca-file`.
    pub(crate) ca: Option<&'a Path>,
    /// `--client-cert-file`.
    pub(crate) certificate: Option<&'a Path>,
    /// `--client-key-file`.
    pub(crate) key: Option<&'a Path>,
}

/// What a control plane presents; absent where nothing is named.
pub(crate) fn server(reader: &mut Reader<'_>, flags: ServerFlags<'_>) -> Option<server::Files> {
    let certificate = path(reader, flags.certificate, &env::CONTROL_PLANE_TLS_CERT_FILE);
    let key = path(reader, flags.key, &env::CONTROL_PLANE_TLS_KEY_FILE);
    let client_ca = path(reader, flags.client_ca, &env::CONTROL_PLANE_TLS_CLIENT_CA_FILE);
    if certificate.is_none() && key.is_none() && client_ca.is_none() {
        return None;
    }
    if certificate.is_none() {
        reader
            .mistake(&env::CONTROL_PLANE_TLS_CERT_FILE, "has to name the certificate of the other TLS files");
    }
    if key.is_none() {
        reader.mistake(&env::CONTROL_PLANE_TLS_KEY_FILE, "has to name the key of the other TLS files");
    }
    Some(server::Files { certificate: certificate?, key: key?, client_ca })
}

/// What a node or a command trusts and shows.
pub(crate) fn client(reader: &mut Reader<'_>, flags: ClientFlags<'_>) -> client::Files {
    let files = client::Files {
        ca: path(reader, flags.ca, &env::CONTROL_PLANE_CA_FILE),
        certificate: path(reader, flags.certificate, &env::CONTROL_PLANE_CLIENT_CERT_FILE),
        key: path(reader, flags.key, &env::CONTROL_PLANE_CLIENT_KEY_FILE),
    };
    match (&files.certificate, &files.key) {
        (Some(_), None) => {
            reader.mistake(
                &env::CONTROL_PLANE_CLIENT_KEY_FILE,
                "has to name the key of the client certificate",
            );
        }
        (None, Some(_)) => {
            reader.mistake(
                &env::CONTROL_PLANE_CLIENT_CERT_FILE,
                "has to name the certificate of the client key",
            );
        }
        _ => {}
    }
    files
}

/// Tokens and credentials of upstreams go through this port.
pub(crate) fn refuse_plain(reader: &mut Reader<'_>, listen: Option<&Listen>, is_tls: bool) {
    let allowed = reader.flag(&env::CONTROL_PLANE_ALLOW_PLAIN, false);
    if let Some(Listen::Tcp(address)) = listen
        && !address.ip().is_loopback()
        && !is_tls
        && !allowed
    {
        reader.mistake(
            &env::CONTROL_PLANE_LISTEN,
            format!(
                "`{address}` can be reached from other machines, and would be served in the clear: name a certificate \
                 with {} and {}, or accept that with {}=true",
                env::CONTROL_PLANE_TLS_CERT_FILE.name,
                env::CONTROL_PLANE_TLS_KEY_FILE.name,
                env::CONTROL_PLANE_ALLOW_PLAIN.name
            ),
        );
    }
}

fn path(reader: &Reader<'_>, flag: Option<&Path>, variable: &Variable) -> Option<PathBuf> {
    flag.map(Path::to_owned).or_else(|| reader.text(variable).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Variables;
    use crate::settings::read;

    fn mistakes(variables: &Variables, listen: &str) -> Vec<String> {
        let outcome = read(variables, |reader| {
            let files = server(reader, ServerFlags::default());
            let listen = Listen::Tcp(listen.parse().unwrap());
            refuse_plain(reader, Some(&listen), files.is_some());
        });
        outcome.err().map(|failure| failure.messages).unwrap_or_default()
    }

    #[test]
    fn a_certificate_needs_its_key_and_a_client_authority_needs_both() {
        let lonely = Variables::from([("TOOLPLANE_CONTROL_PLANE_TLS_CERT_FILE", "/c")]);
        assert_eq!(mistakes(&lonely, "127.0.0.1:1").len(), 1);
        let lonely = Variables::from([("TOOLPLANE_CONTROL_PLANE_TLS_CLIENT_CA_FILE", "/c")]);
        assert_eq!(mistakes(&lonely, "127.0.0.1:1").len(), 2);
        let client_side = Variables::from([("TOOLPLANE_CONTROL_PLANE_CLIENT_KEY_FILE", "/k")]);
        let failure = read(&client_side, |reader| client(reader, ClientFlags::default())).unwrap_err();
        assert!(failure.messages[0].starts_with("TOOLPLANE_CONTROL_PLANE_CLIENT_CERT_FILE: "), "{failure:?}");
    }

    #[test]
    fn other_machines_are_served_over_tls_unless_the_clear_is_accepted() {
        assert_eq!(mistakes(&Variables::default(), "127.0.0.1:7400"), [] as [&str; 0]);
        assert_eq!(mistakes(&Variables::default(), "[::1]:7400"), [] as [&str; 0]);
        for address in ["0.0.0.0:7400", "10.0.0.5:7400", "[::]:7400"] {
            let refused = mistakes(&Variables::default(), address);
            assert!(refused[0].starts_with("TOOLPLANE_CONTROL_PLANE_LISTEN: "), "{refused:?}");
        }
        let accepted = Variables::from([("TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN", "true")]);
        assert_eq!(mistakes(&accepted, "0.0.0.0:7400"), [] as [&str; 0]);
        let tls = Variables::from([
            ("TOOLPLANE_CONTROL_PLANE_TLS_CERT_FILE", "/c"),
            ("TOOLPLANE_CONTROL_PLANE_TLS_KEY_FILE", "/k"),
        ]);
        assert_eq!(mistakes(&tls, "0.0.0.0:7400"), [] as [&str; 0]);
        let flags = ServerFlags { certificate: Some(Path::new("/flag")), ..ServerFlags::default() };
        let files = read(&tls, |reader| server(reader, flags)).unwrap().unwrap();
        assert_eq!((files.certificate, files.key), ("/flag".into(), "/k".into()));
    }
}
