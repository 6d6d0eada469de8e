//! Calls of the 2026-07-28 revision are answered the same whether `rmcp` is asked about them or not.

use toolplane_data_plane::Options;

use crate::harness::{Answer, Node, World};

/// A request in pieces, so that each can be spoiled.
#[derive(Debug, Clone)]
struct Request {
    id: String,
    /// Everything of `params` but `_meta`.
    params: String,
    meta: String,
    headers: Vec<(&'static str, String)>,
}

const INFO: &str = r#""io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}"#;
const VERSION: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const CAPABILITIES: &str = r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}"#;

impl Request {
    fn of(meta_tool: &'static str, arguments: &str, tool: Option<&str>) -> Self {
        let headers =
            [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", meta_tool)];
        let tool = tool.map(|tool| ("mcp-param-tool", tool.to_owned()));
        Self {
            id: "7".to_owned(),
            params: format!(r#""name":"{meta_tool}","arguments":{arguments}"#),
            meta: format!(r#""_meta":{{{VERSION},{INFO},{CAPABILITIES},"own":1e400}}"#),
            headers: headers.into_iter().map(|(name, value)| (name, value.to_owned())).chain(tool).collect(),
        }
    }

    fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn with_second(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn with_meta(self, members: &str) -> Self {
        Self { meta: format!(r#""_meta":{{{members}}}"#), ..self }
    }

    fn body(&self) -> String {
        let Self { id, params, meta, .. } = self;
        let comma = if params.is_empty() || meta.is_empty() { "" } else { "," };
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{params}{comma}{meta}}}}}"#)
    }

    async fn sent_to(&self, node: &Node) -> Answer {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut answer = node.rpc_with(&self.body(), &headers).await;
        answer.headers.remove("date");
        answer
    }
}

/// Every request, with what it is about.
fn requests() -> Vec<(String, Request)> {
    let base = [
        Request::of("discover_tools", "{}", None),
        Request::of("get_tool_schema", r#"{"tool_name":"x"}"#, None),
        Request::of("execute_tool", r#"{"tool_name":"x","arguments":{"n":1e400}}"#, Some("x")),
        Request::of("execute_tool", r#"{"tool_name":"unknown"}"#, Some("unknown")),
        Request::of("execute_tool", r#"{"tool_name":"ünknown"}"#, Some("=?base64?w7xua25vd24=?=")),
        Request::of("execute_tool", "{}", None),
        Request::of("nonsense", "{}", None),
    ];
    base.iter().flat_map(variants).collect()
}

/// A request as it is, and with one thing about it changed.
fn variants(plain: &Request) -> Vec<(String, Request)> {
    let mut all = vec![("plain".to_owned(), plain.clone())];
    let mut add = |what: String, request: Request| all.push((what, request));
    for id in
        ["\"a\"", r#""\u0061""#, "-1", "1.5", "1e3", "123456789012345", "12345678901234567890123", "null"]
    {
        add(format!("id {id}"), Request { id: id.to_owned(), ..plain.clone() });
    }
    for name in ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-tool"] {
        add(format!("without {name}"), plain.clone().without(name));
        for value in [
            "",
            "x",
            "X",
            "2025-06-18",
            "2099-01-01",
            "tools/list",
            "execute_tool",
            "=?base64?eA==?=",
            "=?base64?!?=",
        ] {
            add(format!("{name} {value}"), plain.clone().with_header(name, value));
            add(format!("a second {name} {value}"), plain.clone().with_second(name, value));
        }
    }
    for meta in [
        String::new(),
        VERSION.to_owned(),
        CAPABILITIES.to_owned(),
        format!("{VERSION},{CAPABILITIES}"),
        format!("{VERSION},{CAPABILITIES},{VERSION}"),
        format!(r#"{CAPABILITIES},"io.modelcontextprotocol/protocolVersion":"2025-11-25""#),
        format!(r#"{CAPABILITIES},"io.modelcontextprotocol/protocolVersion":20260728"#),
        format!(r#"{VERSION},"io.modelcontextprotocol/clientCapabilities":[]"#),
        format!(r#"{VERSION},"io.modelcontextprotocol/clientCapabilities":{{}}"#),
        format!(r#"{VERSION},"io.modelcontextprotocol/clientCapabilities":{{"elicitation":7}}"#),
        format!(r#"{VERSION},"io.modelcontextprotocol/clientCapabilities":{{"of/tomorrow":{{}}}}"#),
        format!(r#"{VERSION},{CAPABILITIES},"io.modelcontextprotocol/clientInfo":"me""#),
        format!(r#"{VERSION},{CAPABILITIES},"io.modelcontextprotocol/clientInfo":{{}}"#),
        format!(r#"{VERSION},{CAPABILITIES},"io.modelcontextprotocol/logLevel":"loud""#),
        format!(r#"{VERSION},{CAPABILITIES},"progressToken":[]"#),
    ] {
        add(format!("_meta {meta}"), plain.clone().with_meta(&meta));
    }
    add("no _meta".to_owned(), Request { meta: String::new(), ..plain.clone() });
    add("_meta null".to_owned(), Request { meta: r#""_meta":null"#.to_owned(), ..plain.clone() });
    for more in
        [r#","unknown":1"#, r#","name":"x""#, r#","requestState":"forged""#, r#","inputResponses":[]"#]
    {
        add(format!("and {more}"), Request { params: format!("{}{more}", plain.params), ..plain.clone() });
    }
    all
}

#[tokio::test]
async fn a_second_opinion_changes_no_answer() {
    for asks_for_tool_header in [true, false] {
        let options = Options { asks_for_tool_header, ..Options::default() };
        let world = World::start(&["x"], options.clone()).await;
        let asking = Options { asks_about_every_call: true, ..options };
        let asking = Node::following(&world.control_plane, 1, asking).await;
        let mut answered = 0_u32;
        for (what, request) in requests() {
            let (own, asked) = (request.sent_to(&world.node).await, request.sent_to(&asking).await);
            assert_eq!(own, asked, "{what}: {request:?}");
            answered += u32::from(own.status == 200);
        }
        assert!(answered > 50, "most requests were refused, so little was compared");
    }
}

#[tokio::test]
async fn where_nobody_asks_for_the_header_it_may_be_missing_and_must_not_be_wrong() {
    let request = |tool: Option<&str>| Request::of("execute_tool", r#"{"tool_name":"x"}"#, tool);
    // Spelled so that `rmcp` is asked about it.
    let odd = |tool: Option<&str>| request(tool).with_header("mcp-name", "=?base64?ZXhlY3V0ZV90b29s?=");
    for (asks_for_tool_header, without) in [(true, 400), (false, 200)] {
        let options = Options { asks_for_tool_header, ..Options::default() };
        let world = World::start(&["x"], options).await;
        for form in [&request as &dyn Fn(Option<&str>) -> Request, &odd] {
            assert_eq!(form(None).sent_to(&world.node).await.status, without);
            assert_eq!(form(Some("x")).sent_to(&world.node).await.status, 200);
            assert_eq!(form(Some("y")).sent_to(&world.node).await.status, 400);
        }
    }
}
