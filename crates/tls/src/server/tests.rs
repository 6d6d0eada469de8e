use std::io;
use std::net::SocketAddr;
use std::path::Path;

use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use toolplane_testkit::{Authority, authority::Issued};

use super::*;
use crate::client;

/// A folder with a server's files, an authority of clients, and the authority that signed for the server.
struct Bench {
    folder: TempDir,
    authority: Authority,
    files: Files,
}

/// A server that greets whoever it lets in.
struct Greeter {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("servers");
        authority.write(&folder.path().join("ca.crt"));
        let Issued { certificate, key } = authority.issue(folder.path(), "server");
        Self { folder, authority, files: Files { certificate, key, client_ca: None } }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Asks for client certificates of an authority of its own, which is returned.
    fn mutual(&mut self) -> Authority {
        let authority = Authority::new("clients");
        self.files.client_ca = Some(authority.write(&self.path().join("clients.crt")));
        authority
    }

    fn client(&self) -> client::Files {
        client::Files { ca: Some(self.path().join("ca.crt")), ..client::Files::default() }
    }

    fn client_of(&self, authority: &Authority, name: &str) -> client::Files {
        let Issued { certificate, key } = authority.issue(self.path(), name);
        client::Files { certificate: Some(certificate), key: Some(key), ..self.client() }
    }
}

impl Greeter {
    async fn start(server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut incoming, accepting) = accept(listener, server);
        let mut serving = JoinSet::new();
        serving.spawn(accepting);
        serving.spawn(async move {
            while let Some(connection) = incoming.next().await {
                let mut connection = connection.unwrap();
                connection.write_all(b"hello").await.unwrap();
                connection.shutdown().await.unwrap();
            }
        });
        Self { address, _serving: serving }
    }

    async fn greet(&self, files: &client::Files) -> io::Result<String> {
        let stream = TcpStream::connect(self.address).await?;
        let mut connection = files.connect(stream, "127.0.0.1", client::Objection::default()).await?;
        // As gRPC does: the client speaks first, and learns by the answer whether it was let in.
        connection.write_all(b"PRI").await?;
        let mut greeting = String::new();
        connection.read_to_string(&mut greeting).await?;
        Ok(greeting)
    }

    async fn refusal(&self, files: &client::Files) -> String {
        self.greet(files).await.unwrap_err().to_string()
    }
}

fn subjects(rejections: &[Rejection]) -> Vec<String> {
    rejections.iter().map(|rejection| rejection.reason.clone()).collect()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_let_in_and_no_other() {
    let bench = Bench::new();
    let greeter = Greeter::start(bench.files.clone().load().unwrap().0).await;
    assert_eq!(greeter.greet(&bench.client()).await.unwrap(), "hello");
    let stranger = Authority::new("strangers").write(&bench.path().join("other.crt"));
    let files = client::Files { ca: Some(stranger), ..client::Files::default() };
    let refusal = greeter.refusal(&files).await;
    assert_eq!(refusal, "the server's certificate is from an authority that is not trusted here");
}

#[tokio::test]
async fn a_client_authority_lets_in_its_own_clients_alone_and_says_why_others_stay_out() {
    let mut bench = Bench::new();
    let clients = bench.mutual();
    let greeter = Greeter::start(bench.files.clone().load().unwrap().0).await;
    assert_eq!(greeter.greet(&bench.client_of(&clients, "good")).await.unwrap(), "hello");
    assert_eq!(greeter.refusal(&bench.client()).await, "the server asks for a client certificate");
    let foreign = bench.client_of(&bench.authority, "foreign");
    let refusal = greeter.refusal(&foreign).await;
    assert_eq!(refusal, "the server does not trust the authority of this client's certificate");
    let expired = clients.issue_until(bench.path(), "expired", 2000);
    let expired =
        client::Files { certificate: Some(expired.certificate), key: Some(expired.key), ..bench.client() };
    assert_eq!(greeter.refusal(&expired).await, "this client's certificate has expired");
}

#[tokio::test]
async fn silent_clients_keep_nobody_out() {
    let bench = Bench::new();
    let greeter = Greeter::start(bench.files.clone().load().unwrap().0).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(greeter.address).await.unwrap());
    }
    assert_eq!(greeter.greet(&bench.client()).await.unwrap(), "hello");
    // The oldest gave way: its connection was closed well before its deadline.
    let mut byte = [0];
    assert_eq!(silent[0].read(&mut byte).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_told_in_its_own_protocol() {
    let bench = Bench::new();
    let greeter = Greeter::start(bench.files.clone().load().unwrap().0).await;
    let stream = TcpStream::connect(greeter.address).await.unwrap();
    let objection = client::Objection::default();
    let mut stream = client::Connection::new(stream, objection.clone());
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"this port speaks TLS: use https://."), "{answer:?}");
    assert_eq!(objection.get().unwrap(), "the server speaks TLS there: use https://");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_from_one_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let error =
        Bench::new().client().connect(stream, "localhost", client::Objection::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the server does not speak TLS there");
}

#[tokio::test]
async fn changed_files_are_taken_up_once_they_fit_and_broken_ones_never() {
    let bench = Bench::new();
    let (server, mut reloader) = bench.files.clone().load().unwrap();
    let greeter = Greeter::start(server.clone()).await;
    let old = server.current();
    let look = |reloader: &mut Reloader| reloader.look(Contents::read(&bench.files), UnixTime::now());
    let next = Authority::new("next");
    let half = tempfile::tempdir().unwrap();
    let issued = next.issue(half.path(), "server");

    std::fs::copy(&issued.certificate, &bench.files.certificate).unwrap();
    look(&mut reloader);
    assert!(Arc::ptr_eq(&old, &server.current()), "may be in the middle of a change");
    look(&mut reloader);
    assert!(Arc::ptr_eq(&old, &server.current()), "the key is still the old one");
    assert_eq!(greeter.greet(&bench.client()).await.unwrap(), "hello");

    std::fs::copy(&issued.key, &bench.files.key).unwrap();
    look(&mut reloader);
    look(&mut reloader);
    let new = server.current();
    assert!(!Arc::ptr_eq(&old, &new));
    assert!(greeter.greet(&bench.client()).await.is_err(), "the authority is another one now");
    next.write(&bench.path().join("ca.crt"));
    assert_eq!(greeter.greet(&bench.client()).await.unwrap(), "hello", "read for each connection");

    next.issue_until(bench.path(), "server", 2000);
    look(&mut reloader);
    look(&mut reloader);
    std::fs::remove_file(&bench.files.key).unwrap();
    look(&mut reloader);
    look(&mut reloader);
    assert!(
        Arc::ptr_eq(&new, &server.current()),
        "neither an expired certificate nor none replaces a good one"
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    let mut bench = Bench::new();
    let gone = Files {
        certificate: "/does/not/exist.crt".into(),
        key: "/does/not/exist.key".into(),
        client_ca: Some("/does/not/exist.ca".into()),
    };
    assert_eq!(subjects(&gone.load().unwrap_err()), ["does not exist"; 3]);

    let other = bench.authority.issue(bench.path(), "other");
    let mixed = Files { key: other.key, ..bench.files.clone() };
    let rejections = mixed.load().unwrap_err();
    assert_eq!(subjects(&rejections), ["does not belong to the certificate"]);
    assert!(rejections[0].subject.contains("other.key"), "{rejections:?}");

    bench.mutual();
    for path in [&bench.files.certificate, &bench.files.key, bench.files.client_ca.as_ref().unwrap()] {
        std::fs::write(path, "-----BEGIN NOTHING-----\n").unwrap();
    }
    let rejections = bench.files.clone().load().unwrap_err();
    assert_eq!(
        subjects(&rejections),
        ["holds no certificate in PEM", "holds no private key in PEM", "holds no certificate in PEM"]
    );
}

#[test]
fn an_expired_certificate_is_served_at_the_start() {
    let bench = Bench::new();
    bench.authority.issue_until(bench.path(), "server", 2000);
    assert!(bench.files.load().is_ok());
}

#[test]
fn a_client_needs_both_files_or_none() {
    let bench = Bench::new();
    let half = client::Files { certificate: Some(bench.files.certificate.clone()), ..bench.client() };
    assert_eq!(subjects(&half.check().unwrap_err()), ["needs the key file too"]);
    let half =
        client::Files { key: Some(bench.files.key.clone()), ca: Some("/gone".into()), certificate: None };
    assert_eq!(subjects(&half.check().unwrap_err()), ["does not exist", "needs the certificate file too"]);
    assert!(bench.client().check().is_ok());
}
