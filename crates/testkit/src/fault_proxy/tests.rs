use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends back what it gets.
async fn echo() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    (address, serving)
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn said(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    in_time(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

#[tokio::test]
async fn everything_passes_until_told_otherwise_and_is_counted() {
    let (server, _serving) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(said(&mut stream, b"hello").await, b"hello");
    let counts = in_time(proxy.until(|counts| counts.to_client == 5)).await;
    assert_eq!(counts, Counts { opened: 1, to_target: 5, to_client: 5, ..Counts::default() });
    stream.shutdown().await.unwrap();
    assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0, "the echo closes as well");
    in_time(proxy.closed(1)).await;
}

#[tokio::test]
async fn a_unix_socket_can_be_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let proxy = FaultProxy::start(path).await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"x").await.unwrap();
    let (mut far, _) = in_time(listener.accept()).await.unwrap();
    assert_eq!(in_time(far.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn a_stalled_proxy_accepts_and_delivers_nothing_until_it_heals() {
    let (server, _serving) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut old = connect(&proxy).await;
    said(&mut old, b"a").await;
    proxy.set(Faults::stalled());
    let mut new = connect(&proxy).await;
    in_time(proxy.opened(2)).await;
    let before = proxy.counts();
    for stream in [&mut old, &mut new] {
        stream.write_all(b"b").await.unwrap();
        // Were it not stalled, the answer would be there long before.
        let nothing = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
    assert_eq!(proxy.counts(), before);
    proxy.set(Faults::default());
    for stream in [&mut old, &mut new] {
        assert_eq!(in_time(stream.read_u8()).await.unwrap(), b'b');
    }
}

#[tokio::test]
async fn one_way_can_stall_alone_and_hides_the_end_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).await;
    let mut client = connect(&proxy).await;
    let (mut far, _) = in_time(listener.accept()).await.unwrap();
    let stalled = Way { stalled: true, ..Way::default() };
    proxy.set(Faults { to_target: stalled, ..Faults::default() });
    far.write_all(b"x").await.unwrap();
    assert_eq!(in_time(client.read_u8()).await.unwrap(), b'x', "the other way is open");
    drop(client);
    let nothing = tokio::time::timeout(Duration::from_millis(200), far.read_u8()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    proxy.set(Faults::default());
    assert_eq!(in_time(far.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_reaches_both_sides_even_where_everything_stalls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).await;
    let mut client = connect(&proxy).await;
    let (mut far, _) = in_time(listener.accept()).await.unwrap();
    in_time(proxy.opened(1)).await;
    proxy.set(Faults::stalled());
    proxy.reset();
    in_time(proxy.closed(1)).await;
    for stream in [&mut client, &mut far] {
        let broken = in_time(stream.read_u8()).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn new_connections_can_be_refused_while_old_ones_go_on() {
    let (server, _serving) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let mut old = connect(&proxy).await;
    said(&mut old, b"a").await;
    proxy.set(Faults::refusing());
    let mut new = connect(&proxy).await;
    assert_eq!(in_time(new.read_u8()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.counts().refused, 1);
    assert_eq!(said(&mut old, b"b").await, b"b");
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes() {
    let (server, _serving) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let cut = Way { cut_after: Some(3), ..Way::default() };
    proxy.set(Faults { to_target: cut, ..Faults::default() });
    let mut stream = connect(&proxy).await;
    stream.write_all(b"abcdef").await.unwrap();
    in_time(proxy.closed(1)).await;
    assert_eq!(proxy.counts().to_target, 3);
}

#[tokio::test]
async fn bytes_arrive_late_and_in_order() {
    let (server, _serving) = echo().await;
    let proxy = FaultProxy::start(server).await;
    let (base, jitter) = (Duration::from_millis(60), Duration::from_millis(40));
    proxy.set(Faults::slow(base, jitter));
    let mut stream = connect(&proxy).await;
    let begin = Instant::now();
    let sent: Vec<u8> = (0..200).collect();
    for byte in &sent {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = vec![0; sent.len()];
    in_time(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, sent);
    assert!(begin.elapsed() >= base * 2, "there and back");
}

#[tokio::test]
async fn little_passes_at_once_where_the_way_is_narrow() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).await;
    proxy.set(Faults::narrow(3, Duration::from_millis(5)));
    let mut client = connect(&proxy).await;
    let (mut far, _) = in_time(listener.accept()).await.unwrap();
    client.write_all(b"abcdefgh").await.unwrap();
    let begin = Instant::now();
    let mut all = [0; 8];
    in_time(far.read_exact(&mut all)).await.unwrap();
    assert_eq!(&all, b"abcdefgh");
    assert!(begin.elapsed() >= Duration::from_millis(5), "it came in pieces");
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let (mut one, mut other) = (Random::new(7), Random::new(7));
    let numbers = |random: &mut Random| [random.below(100), random.below(100), random.number()];
    assert_eq!(numbers(&mut one), numbers(&mut other));
    assert!(Random::new(1).up_to(Duration::from_millis(10)) <= Duration::from_millis(10));
}
