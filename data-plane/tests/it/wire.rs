//! HTTP and JSON-RPC at the edge.

use serde_json::json;
use toolplane_data_plane::Options;

use crate::harness::{Node, World};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn world() -> World {
    World::start(&["x"], Options { max_body_bytes: 10_000, ..Options::default() }).await
}

fn initialize(version: &str) -> String {
    let client = r#"{"name":"t","version":"1"}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":"i","method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{client}}}}}"#
    )
}

#[tokio::test]
async fn the_handshake_tells_instructions_and_keeps_the_version() {
    let world = world().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = world.node.rpc(&initialize(version)).await;
        let result = &answer.json()["result"];
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "toolplane");
        assert_eq!(result["capabilities"]["tools"], json!({"listChanged": true}));
        assert!(result["instructions"].as_str().unwrap().contains("- **echo** (1 tools)"));
        assert!(!answer.headers.contains_key("mcp-session-id"));
    }
    let options =
        Options { instructions: Some("mine".to_owned()), name: "gw ✓".to_owned(), ..Options::default() };
    let node = Node::following(&world.control_plane, 1, options).await;
    let result = node.rpc(&initialize("2025-06-18")).await.json()["result"].clone();
    assert_eq!((&result["instructions"], &result["serverInfo"]["name"]), (&json!("mine"), &json!("gw ✓")));
}

#[tokio::test]
async fn listing_gives_the_meta_tools_whatever_the_registry_holds() {
    let world = world().await;
    let answer = world.node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await.json();
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["discover_tools", "get_tool_schema", "execute_tool", "refresh_registry"]);
    assert_eq!(tools[0]["annotations"], json!({"readOnlyHint": true, "openWorldHint": true}));
    assert_eq!(tools[0]["_meta"], json!({"anthropic/alwaysLoad": true}));
    assert!(answer["result"].get("ttlMs").is_none(), "earlier revisions know no caching hints");
}

#[tokio::test]
async fn modern_clients_discover_and_call_without_a_handshake() {
    let world = world().await;
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let modern = |method| [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    let discover = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{{meta}}}}}"#);
    let answer = world.node.rpc_with(&discover, &modern("server/discover")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json()["result"]["instructions"].as_str().unwrap().contains("- **echo**"));

    let list = format!(r#"{{"jsonrpc":"2.0","id":4,"method":"tools/list","params":{{{meta}}}}}"#);
    let answer = world.node.rpc_with(&list, &modern("tools/list")).await;
    assert_eq!(answer.json()["result"]["ttlMs"], 300_000, "{}", answer.body);

    let call = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"discover_tools","arguments":{{}},{meta}}}}}"#
    );
    let headers = [&modern("tools/call")[..], &[("mcp-name", "discover_tools")]].concat();
    let answer = world.node.rpc_with(&call, &headers).await;
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.body);
    let mismatch = [&modern("tools/call")[..], &[("mcp-name", "execute_tool")]].concat();
    let refused = world.node.rpc_with(&call, &mismatch).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(-32020)));
    let unknown = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"no/such","params":{{{meta}}}}}"#);
    let refused = world.node.rpc_with(&unknown, &modern("no/such")).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_the_book() {
    let node = world().await.node;
    for (body, status, code) in [
        ("{nope", 400, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32602),
        (r#"{"hello":1}"#, 400, -32602),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"discover_tools"}}"#,
            400,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 200, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"discover_tools","arguments":[1]}}"#,
            200,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#, 200, -32601),
    ] {
        let answer = node.rpc(body).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{body}");
    }
    let invalid_utf8 =
        node.request("POST", "/mcp").header("content-type", "application/json").body(vec![0xff]);
    assert_eq!(node.send(invalid_utf8).await.json()["error"]["code"], -32700);
    let unknown = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_issue"}}"#;
    assert_eq!(node.rpc(unknown).await.json()["result"]["isError"], true);
}

#[tokio::test]
async fn media_types_and_sizes_are_checked() {
    let node = world().await.node;
    let post = || node.request("POST", "/mcp");
    let json = || post().header("content-type", "application/json");
    assert_eq!(node.send(post().header("content-type", "text/plain").body(PING)).await.status, 415);
    for accept in ["*/*", "application/json"] {
        let answer = node.send(json().header("accept", accept).body(PING)).await;
        assert_eq!((answer.status, &answer.json()["result"]), (200, &json!({})));
    }
    assert_eq!(node.send(json().header("accept", "text/html").body(PING)).await.status, 406);
    assert_eq!(node.send(json().body(" ".repeat(10_001))).await.status, 413);
}

#[tokio::test]
async fn ids_come_back_and_sessions_of_others_are_gone() {
    let node = world().await.node;
    for id in [r#""abc-1""#, "0", "-7"] {
        let answer = node.rpc(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).await;
        assert_eq!(answer.json()["id"].to_string(), id);
    }
    let headers = [("mcp-session-id", "0123456789abcdef"), ("mcp-protocol-version", "2025-06-18")];
    let answer = node.rpc_with(PING, &headers).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (404, Some(-32600)));
    let notification = node.rpc(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((notification.status, notification.body.as_str()), (202, ""));
}

#[tokio::test]
async fn routes_and_methods_are_the_documented_ones() {
    let World { control_plane: _connected, node, .. } = world().await;
    for (method, path, status) in [
        ("GET", "/mcp", 405),
        ("DELETE", "/mcp", 405),
        ("PUT", "/mcp", 405),
        ("GET", "/", 404),
        ("GET", "/sse", 404),
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("HEAD", "/readyz", 200),
        ("POST", "/healthz", 405),
        ("PUT", "/registry/servers", 405),
        ("GET", "/registry/servers/x", 405),
    ] {
        assert_eq!(node.send(node.request(method, path)).await.status, status, "{method} {path}");
    }
    let redirect = node.send(node.request("POST", "/mcp/")).await;
    assert_eq!(
        (redirect.status, redirect.headers["location"].as_str()),
        (307, &*format!("http://{}/mcp", node.address))
    );
    for (came, scheme) in
        [("https", "https"), ("HTTPS, http", "https"), ("http, https", "http"), ("gopher", "http")]
    {
        let request = node.request("POST", "/mcp/").header("x-forwarded-proto", came);
        let location = format!("{scheme}://{}/mcp", node.address);
        assert_eq!(node.send(request).await.headers["location"].as_str(), location, "{came}");
    }
    assert_eq!(node.get("/readyz").await.json(), json!({"status": "ready", "tools": 1}));
}

#[tokio::test]
async fn a_browser_under_a_foreign_name_is_refused() {
    let node = world().await.node;
    let foreign = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert_eq!(node.rpc_with(PING, &foreign).await.status, 403);
    assert_eq!(node.rpc_with(PING, &[("origin", "http://localhost:5173")]).await.status, 200);
    assert_eq!(node.rpc_with(PING, &[("host", "gateway.example")]).await.status, 200);
}
