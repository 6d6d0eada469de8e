//! Listings: pages, limits, upstreams that never stop.

use toolplane_registry::{Protocol, RawJson};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::{Builder, Era, Fault};
use toolplane_upstream::Error;
use toolplane_upstream::connector::Options;

use crate::{AMPLE, client, client_with, target};

fn five_tools() -> Builder {
    ["a", "b", "c", "d", "e"].iter().fold(FakeUpstream::builder(), |builder, name| builder.tool(name))
}

#[tokio::test]
async fn all_pages_are_followed_within_one_session() {
    let upstream = five_tools().page_size(2).start().await;
    let client = client();
    let listing = client.list_tools(&target(&upstream), AMPLE).await.unwrap();
    assert_eq!(listing.tools.len(), 5);
    assert_eq!(listing.server_name.as_deref(), Some("fake-upstream"));
    client.close().await;
    assert_eq!(
        upstream.methods(),
        [
            "server/discover",
            "initialize",
            "notifications/initialized",
            "tools/list",
            "tools/list",
            "tools/list",
            "(DELETE)"
        ]
    );
}

#[tokio::test]
async fn tools_stay_as_they_were_sent() {
    let tool = r#"{"name":"a","inputSchema":{"type":"object","maximum":1e400},"vendor":{"z":1,"a":2}}"#;
    let upstream = FakeUpstream::builder().tool_json(tool).tool_json("7").sse().stateless().start().await;
    let listing = client().list_tools(&target(&upstream), AMPLE).await.unwrap();
    let texts: Vec<&str> = listing.tools.iter().map(RawJson::as_str).collect();
    assert_eq!(texts, [tool, "7"], "what is no tool is for admission to refuse, one by one");
}

#[tokio::test]
async fn the_next_listing_asks_anew_how_the_upstream_speaks_and_sees_changes() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    client.list_tools(&target(&upstream), AMPLE).await.unwrap();
    upstream.set_era(Era::Both);
    upstream.clear();
    upstream.set_tools(&[]);
    let listing = client.list_tools(&target(&upstream), AMPLE).await.unwrap();
    assert!(listing.tools.is_empty());
    assert_eq!(listing.server_name.as_deref(), Some("fake-upstream"));
    assert_eq!(listing.protocol, Protocol::Stateless);
    assert_eq!(upstream.methods(), ["server/discover", "tools/list"]);
}

#[tokio::test]
async fn a_cursor_that_comes_again_ends_the_listing() {
    let upstream = five_tools().endless().start().await;
    let error = client().list_tools(&target(&upstream), AMPLE).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert!(upstream.count("tools/list") <= 3);
}

#[tokio::test]
async fn pages_tools_and_bytes_are_bounded() {
    let upstream = five_tools().page_size(1).start().await;
    for (options, expected) in [
        (Options { max_listing_pages: 3, ..Options::default() }, "3 pages"),
        (Options { max_listing_tools: 3, ..Options::default() }, "3 tools"),
        (Options { max_response_bytes: 250, ..Options::default() }, "250 bytes"),
    ] {
        let error = client_with(options).list_tools(&target(&upstream), AMPLE).await.unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let one_page = five_tools().start().await;
    let few = client_with(Options { max_listing_tools: 3, ..Options::default() });
    let error = few.list_tools(&target(&one_page), AMPLE).await.unwrap_err();
    assert!(error.to_string().ends_with("3 tools"), "{error}");
    let exact = Options { max_listing_pages: 5, max_listing_tools: 5, ..Options::default() };
    assert_eq!(client_with(exact).list_tools(&target(&upstream), AMPLE).await.unwrap().tools.len(), 5);
}

#[tokio::test]
async fn what_is_no_listing_is_an_error() {
    let upstream = five_tools().stateless().start().await;
    for fault in [
        Fault::RpcError(-32601, "no".to_owned()),
        Fault::Garbage,
        Fault::Stream("data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":{}}}\n\n".to_owned()),
    ] {
        upstream.fault("tools/list", fault);
        assert!(client().list_tools(&target(&upstream), AMPLE).await.is_err());
    }
}
