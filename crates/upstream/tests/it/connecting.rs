//! The guard at connect time, and upstreams that are not there.

use toolplane_registry::Rule;
use toolplane_testkit::FakeUpstream;
use toolplane_upstream::Error;
use toolplane_upstream::client::Target;
use toolplane_upstream::connector::Options;
use toolplane_upstream::guard::Policy;

use crate::{call_a, client, client_with, target};

fn strict() -> Options {
    Options { guard: Policy { allow_private: false }, ..Options::default() }
}

fn refused_by(error: &Error) -> Option<Rule> {
    match error {
        Error::Refused(rejection) => Some(rejection.rule),
        _ => None,
    }
}

#[tokio::test]
async fn literal_addresses_and_localhost_are_refused_before_anything_is_sent() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let port = upstream.address().port();
    let client = client_with(strict());
    for url in
        [upstream.url(), format!("https://localhost:{port}/mcp"), format!("https://2130706433:{port}/mcp")]
    {
        let error = call_a(&client, &Target::plain(url)).await.unwrap_err();
        assert_eq!(refused_by(&error), Some(Rule::UrlGuard), "{error}");
        assert!(!error.was_sent() && !error.is_transient());
    }
    assert!(upstream.methods().is_empty());
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn localhost_is_reached_where_private_addresses_are_allowed() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = format!("http://localhost:{}/mcp", upstream.address().port());
    call_a(&client(), &Target::plain(url)).await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_is_away_is_transient_and_works_again_once_it_is_back() {
    let mut upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    call_a(&client, &target(&upstream)).await.unwrap();
    upstream.stop().await;
    let error = call_a(&client, &target(&upstream)).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && error.is_transient() && !error.was_sent(), "{error:?}");
    upstream.restart().await;
    call_a(&client, &target(&upstream)).await.unwrap();
}

#[tokio::test]
async fn a_name_nobody_knows_is_a_connect_failure() {
    // A label over 63 characters fails without asking a name server.
    let url = format!("http://{}.invalid/mcp", "x".repeat(64));
    let error = call_a(&client(), &Target::plain(url)).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn errors_never_hold_what_is_secret_in_a_url() {
    let mut upstream = FakeUpstream::builder().start().await;
    upstream.stop().await;
    let address = upstream.address();
    for url in [
        format!("http://user:pa55word@{address}/mcp?token=s3cret#frag"),
        format!("http://user:pa55word@{address}:x/mcp?token=s3cret"),
        format!("https://user:pa55word@{}.invalid/mcp?token=s3cret", "x".repeat(64)),
    ] {
        let error = call_a(&client(), &Target::plain(url)).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("pa55word") && !text.contains("s3cret"), "{text}");
    }
}
