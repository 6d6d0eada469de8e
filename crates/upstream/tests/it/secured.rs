//! Upstreams behind TLS: whom they are taken for, what is shown to them, and what is told when that does not do.

mod bursts;

use http::Version;
use toolplane_registry::{Secret, Tls as Settings};
use toolplane_testkit::Authority;
use toolplane_testkit::authority::Pair;
use toolplane_testkit::fake_upstream::{FakeUpstream, Tls};
use toolplane_upstream::client::Target;
use toolplane_upstream::connector::{Connector, Options};
use toolplane_upstream::guard::Policy;
use toolplane_upstream::{Client, Error};

use super::{AMPLE, call_a};

fn connector() -> Connector {
    Connector::new(Options { max_spare_sessions: 0, ..Options::default() }).unwrap()
}

async fn upstream(tls: Tls) -> FakeUpstream {
    FakeUpstream::builder().tool("a").stateless().tls(tls).start().await
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn trusting(authority: &Authority) -> Settings {
    Settings { ca: Some(secret(authority.pem())), ..Settings::default() }
}

fn showing(authority: &Authority, pair: &Pair) -> Settings {
    let (client_certificate, client_key) = (Some(secret(&pair.certificate)), Some(secret(&pair.key)));
    Settings { client_certificate, client_key, ..trusting(authority) }
}

fn target(connector: &Connector, upstream: &FakeUpstream, settings: &Settings) -> Target {
    Target { tls: connector.secure(settings, None), ..Target::plain(upstream.url()) }
}

/// Lists and calls, and tells by which versions of HTTP.
async fn reach(upstream: &FakeUpstream, settings: &Settings) -> Result<Vec<Version>, Error> {
    let connector = connector();
    let (client, target) = (Client::new(connector.clone()), target(&connector, upstream, settings));
    let listing = client.list_tools(&target, AMPLE).await?;
    assert_eq!(listing.tools.len(), 1);
    call_a(&client, &target).await?;
    let mut versions: Vec<Version> = upstream.requests().iter().map(|request| request.http).collect();
    versions.dedup();
    Ok(versions)
}

/// Why the upstream was not reached, and that it certainly was not.
async fn refusal(upstream: &FakeUpstream, settings: &Settings) -> String {
    let error = reach(upstream, settings).await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)) && !error.was_sent(), "{error:?}");
    assert_eq!(upstream.requests().len(), 0, "nothing arrived");
    error.to_string()
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given_and_http2_is_spoken_where_it_is_offered() {
    let authority = Authority::new("private");
    let both = Tls::new(authority.pair("upstream"));
    let settings = trusting(&authority);
    assert_eq!(reach(&upstream(both.clone()).await, &settings).await.unwrap(), [Version::HTTP_2]);
    let old = upstream(both.clone().without_http2()).await;
    assert_eq!(reach(&old, &settings).await.unwrap(), [Version::HTTP_11]);
    assert_eq!(reach(&upstream(both.tls12()).await, &settings).await.unwrap(), [Version::HTTP_2]);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_the_remedy() {
    let (authority, stranger) = (Authority::new("private"), Authority::new("strangers"));
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let words = refusal(&upstream, &Settings::default()).await;
    assert!(
        words.ends_with("certificate signed by unknown authority: give its CA with `--ca-file`"),
        "{words}"
    );
    let words = refusal(&upstream, &trusting(&stranger)).await;
    assert!(words.ends_with("another authority than the CA that was given for it (`--ca-file`)"), "{words}");
    // What is shown to an upstream does not make anybody trust it.
    let pair = authority.pair("gateway");
    let unverified = Settings { ca: None, ..showing(&authority, &pair) };
    assert!(refusal(&upstream, &unverified).await.contains("unknown authority"));
}

#[tokio::test]
async fn a_certificate_for_another_host_or_another_time_is_refused() {
    let authority = Authority::new("private");
    let settings = trusting(&authority);
    let elsewhere = upstream(Tls::new(authority.pair_for("elsewhere.example"))).await;
    let words = refusal(&elsewhere, &settings).await;
    assert!(words.ends_with("certificate for another host than that of the address"), "{words}");
    let old = upstream(Tls::new(authority.pair_until("upstream", 2020))).await;
    assert!(refusal(&old, &settings).await.ends_with("its certificate has expired"));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (authority, clients) = (Authority::new("private"), Authority::new("clients"));
    let (pair, foreign) = (clients.pair("gateway"), authority.pair("gateway"));
    let tls = Tls::new(authority.pair("upstream")).clients_of(&clients);
    for tls in [tls.clone(), tls.clone().without_http2(), tls.tls12()] {
        let upstream = upstream(tls.clone()).await;
        let without = refusal(&upstream, &trusting(&authority)).await;
        assert!(without.ends_with("give one with `--client-cert` and `--client-key`"), "{tls:?}: {without}");
        let with_another = refusal(&upstream, &showing(&authority, &foreign)).await;
        assert!(with_another.contains("`--client-cert`"), "{tls:?}: {with_another}");
        reach(&upstream, &showing(&authority, &pair)).await.unwrap();
    }
}

#[tokio::test]
async fn upstreams_of_equal_settings_share_connections_and_others_do_not() {
    let authority = Authority::new("private");
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let connector = connector();
    let client = Client::new(connector.clone());
    let one = target(&connector, &upstream, &trusting(&authority));
    let same = target(&connector, &upstream, &trusting(&authority));
    call_a(&client, &one).await.unwrap();
    call_a(&client, &same).await.unwrap();
    assert_eq!(upstream.connections(), 1);
    let other = showing(&authority, &authority.pair("gateway"));
    call_a(&client, &target(&connector, &upstream, &other)).await.unwrap();
    assert_eq!(upstream.connections(), 2, "a connection speaks for whoever it was made for");
}

#[tokio::test]
async fn new_settings_are_in_use_from_the_next_request_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let upstream = upstream(Tls::new(before.pair("upstream"))).await;
    let connector = connector();
    let client = Client::new(connector.clone());
    call_a(&client, &target(&connector, &upstream, &trusting(&before))).await.unwrap();
    upstream.set_tls(&Tls::new(after.pair("upstream")));
    let stale = call_a(&client, &target(&connector, &upstream, &trusting(&before))).await;
    assert!(matches!(stale, Err(Error::Tls(_))), "the pool went with its last holder: {stale:?}");
    call_a(&client, &target(&connector, &upstream, &trusting(&after))).await.unwrap();
}

#[tokio::test]
async fn the_guard_looks_at_secured_addresses_too() {
    let authority = Authority::new("private");
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let guard = Policy { allow_private: false };
    let connector = Connector::new(Options { guard, ..Options::default() }).unwrap();
    let target = target(&connector, &upstream, &trusting(&authority));
    let error = call_a(&Client::new(connector), &target).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn an_address_that_speaks_no_tls_is_told_as_such() {
    let plain = FakeUpstream::builder().tool("a").stateless().start().await;
    let url = format!("https://localhost:{}/mcp", plain.address().port());
    let error = call_a(&Client::new(connector()), &Target::plain(url)).await.unwrap_err();
    assert!(error.to_string().ends_with("it does not speak TLS there: is its address `http://`?"), "{error}");
}

#[tokio::test]
async fn settings_that_do_not_hold_harm_their_upstream_alone_and_are_not_repeated() {
    let authority = Authority::new("private");
    let upstream = upstream(Tls::new(authority.pair("upstream"))).await;
    let broken =
        Settings { ca: Some(secret("hunter2")), client_key: Some(secret("hunter2")), ..Settings::default() };
    let words = refusal(&upstream, &broken).await;
    assert!(words.contains("tls.ca: holds no certificate in PEM") && !words.contains("hunter2"), "{words}");
    reach(&upstream, &trusting(&authority)).await.unwrap();
}
