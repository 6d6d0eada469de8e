//! The gRPC surface over TLS, asked by a client of another make: tonic's own.

use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use toolplane_control_plane::service::Error;
use toolplane_control_plane::{Options, Service};
use toolplane_testkit::Authority;
use toolplane_testkit::authority::Issued;
use toolplane_tls::server::Files;

use crate::harness::Plane;

/// A control plane with a certificate of an authority, which also signs for clients.
struct Secured {
    folder: TempDir,
    authority: Authority,
    plane: Plane,
}

impl Secured {
    async fn start() -> Self {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new("all"));
        let ca = authority.write(&folder.path().join("ca.crt"));
        let Issued { certificate, key } = authority.issue(folder.path(), "server");
        let files = Files { certificate, key, client_ca: Some(ca) };
        let plane = Plane::start_with(|options| options.tls = Some(files.clone())).await;
        Self { folder, authority, plane }
    }

    fn trusting(&self) -> ClientTlsConfig {
        let ca = std::fs::read(self.folder.path().join("ca.crt")).unwrap();
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca))
    }

    fn channel(&self, tls: ClientTlsConfig) -> Channel {
        let address = format!("https://localhost:{}", self.plane.address.port());
        Endpoint::from_shared(address).unwrap().tls_config(tls).unwrap().connect_lazy()
    }
}

async fn answers(channel: Channel) -> bool {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok()
}

#[tokio::test]
async fn a_client_with_a_certificate_is_served_and_others_are_not() {
    let secured = Secured::start().await;
    let Issued { certificate, key } = secured.authority.issue(secured.folder.path(), "client");
    let identity = Identity::from_pem(std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap());
    assert!(answers(secured.channel(secured.trusting().identity(identity))).await);
    assert!(!answers(secured.channel(secured.trusting())).await, "no certificate");
    assert!(!answers(secured.plane.channel.clone()).await, "no TLS");
}

#[tokio::test]
async fn a_plane_stops_though_a_client_is_silent() {
    let secured = Secured::start().await;
    let _silent = TcpStream::connect(secured.plane.address).await.unwrap();
    let restarted = secured.plane.restart_with(|_| {}).await;
    assert!(answers(restarted.channel.clone()).await);
}

#[tokio::test]
async fn mistakes_in_settings_and_certificate_files_come_together() {
    let folder = TempDir::new().unwrap();
    let mut options = Options::new("sqlite::memory:", folder.path());
    options.refresh.concurrency = 0;
    options.tls = Some(Files { certificate: "/gone.crt".into(), key: "/gone.key".into(), client_ca: None });
    let Error::Settings(mistakes) = Service::start(options).await.unwrap_err() else { panic!() };
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(!folder.path().join("secret.key").exists(), "nothing was made");
}
