//! Every lie, what the caller is told of it, and what may become of the connection. Here those that are proper HTTP.

mod wire;

use toolplane_testkit::raw_upstream::Say;

/// A way to lie.
#[derive(Debug)]
pub(crate) struct Lie {
    pub(crate) name: String,
    pub(crate) says: Vec<Say>,
    pub(crate) told: Told,
    /// Nobody can tell what comes next on the connection, so nothing may be sent over it.
    pub(crate) spoils_connection: bool,
    /// It never ends by itself, so the caller says how long it waits.
    pub(crate) is_endless: bool,
}

/// What the caller hears.
#[derive(Debug)]
pub(crate) enum Told {
    /// A result with this in it.
    Answer(String),
    /// An error of this code, with these words.
    Error(&'static str, &'static str),
}

/// The largest reply that the node of these tests takes.
pub(crate) const MAX_REPLY: usize = 256 << 10;
const DEEP: usize = 100_000;
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const PROPER: &str = r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[{"type":"text","text":"proper"}]}}"#;

impl Lie {
    fn new(name: impl Into<String>, says: Vec<Say>, told: Told) -> Self {
        Self { name: name.into(), says, told, spoils_connection: false, is_endless: false }
    }

    /// A reply in JSON that is framed as it should be.
    fn json(name: &str, body: impl Into<String>, told: Told) -> Self {
        Self::new(name, vec![Say::Reply("200 OK".to_owned(), JSON.to_owned(), body.into())], told)
    }

    /// An event stream that is framed as it should be.
    fn events(name: &str, body: impl Into<String>, told: Told) -> Self {
        Self::new(name, vec![Say::Reply("200 OK".to_owned(), EVENTS.to_owned(), body.into())], told)
    }

    fn spoils(self) -> Self {
        Self { spoils_connection: true, ..self }
    }

    fn endless(self) -> Self {
        Self { is_endless: true, ..self.spoils() }
    }
}

/// All of them. `elsewhere` is where some want the node to go.
pub(crate) fn lies(elsewhere: &str) -> Vec<Lie> {
    let mut all = contents();
    all.extend(deep());
    all.extend(texts());
    all.extend(statuses(elsewhere));
    all.extend(wire::framing());
    all.extend(wire::sizes());
    all.extend(wire::pauses());
    all.extend(wire::streams());
    all
}

fn failed(words: &'static str) -> Told {
    Told::Error("execution_error", words)
}

fn proper() -> Told {
    Told::Answer("proper".to_owned())
}

fn text(text: impl Into<String>) -> Say {
    Say::Text(text.into())
}

/// Well framed, and not what was asked for.
fn contents() -> Vec<Lie> {
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{result}}}"#);
    let no_rpc = || failed("is JSON and no JSON-RPC");
    vec![
        Lie::json("another's id", PROPER.replace("{id}", "987654321"), failed("answers another request")),
        Lie::json("the id as a text", PROPER.replace("{id}", "\"{id}\""), failed("answers another request")),
        Lie::json("no id", PROPER.replace("{id}", "null"), failed("answers another request")),
        Lie::json("a list for a result", result("[1]"), failed("not a tool result")),
        Lie::json("a text for content", result(r#"{"content":"x"}"#), failed("content is not an array")),
        Lie::json(
            "more blocks than anybody reads",
            result(&format!(r#"{{"content":[{}0]}}"#, "0,".repeat(100_000))),
            failed("more than 100000 blocks"),
        ),
        Lie::json("nothing for content", result("{}"), failed("has no content")),
        Lie::json(
            "a text for isError",
            result(r#"{"content":[],"isError":"no"}"#),
            failed("`isError` is not a boolean"),
        ),
        Lie::json(
            "neither result nor error",
            r#"{"jsonrpc":"2.0","id":{id}}"#,
            failed("a result or an error"),
        ),
        Lie::json(
            "both",
            PROPER.replace("\"result\"", r#""error":{"code":1},"result""#),
            failed("a result or an error"),
        ),
        Lie::json(
            "a text for an error",
            r#"{"id":{id},"error":"no"}"#,
            failed("error of the reply is malformed"),
        ),
        Lie::json("a batch", format!("[{PROPER}]"), no_rpc()),
        Lie::json("a number", "7", no_rpc()),
        Lie::json("a member twice", PROPER.replace("\"id\"", r#""id":{id},"id""#), no_rpc()),
        Lie::json(
            "a member of the result twice",
            result(r#"{"content":[],"content":[{"type":"text","text":"the last counts"}]}"#),
            Told::Answer("the last counts".to_owned()),
        ),
    ]
}

/// Nested beyond what any reader that recurses could take.
fn deep() -> Vec<Lie> {
    let deep = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    let nested =
        format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"content":[],"structuredContent":{deep}}}}}"#);
    vec![
        Lie::json("nested deeply", nested, Told::Answer(format!("\"structuredContent\":{deep}"))),
        Lie::json(
            "nested deeply beside the result",
            PROPER.replace("\"id\"", &format!(r#""x":{deep},"id""#)),
            proper(),
        ),
        Lie::json(
            "nested deeply for an error",
            format!(r#"{{"id":{{id}},"error":{deep}}}"#),
            failed("malformed"),
        ),
        Lie::json("nested deeply and not closed", "[".repeat(DEEP), failed("breaks off")),
    ]
}

/// No JSON.
fn texts() -> Vec<Lie> {
    vec![
        Lie::json("half a message", PROPER.split_at(40).0, failed("breaks off")),
        Lie::json("no JSON", "this is not JSON", failed("a message is not JSON")),
        Lie::json("a web page", "<!doctype html><p>hello", failed("a web page")),
        Lie::json("nothing", "", failed("the reply is empty")),
        Lie::json("white space", " \r\n", failed("the reply is empty")),
        Lie::new(
            "no text",
            vec![Say::Bytes([HEAD.as_bytes(), b"content-length: 5\r\n\r\n\"\xff\xfe\xc0\""].concat())],
            failed("not valid UTF-8"),
        ),
        Lie::new(
            "compressed",
            vec![Say::Bytes(
                [
                    HEAD.as_bytes(),
                    b"content-encoding: gzip\r\ncontent-length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03",
                ]
                .concat(),
            )],
            failed("compressed"),
        ),
    ]
}

/// Statuses that are no success, and those that are and say nothing.
fn statuses(elsewhere: &str) -> Vec<Lie> {
    [refusals(), redirects(elsewhere), without_bodies()].into_iter().flatten().collect()
}

fn refusals() -> Vec<Lie> {
    let reply =
        |status: &str| Say::Reply(status.to_owned(), "text/html".to_owned(), "<p>words</p>".to_owned());
    [
        ("300 Multiple Choices", failed("status 300 (a redirect, which is not followed")),
        ("400 Bad Request", failed("status 400")),
        ("401 Unauthorized", failed("refused the credentials with status 401")),
        ("403 Forbidden", failed("refused the credentials with status 403")),
        ("404 Not Found", failed("status 404 (is this the address")),
        ("405 Method Not Allowed", failed("status 405")),
        ("422 Unprocessable", failed("status 422")),
        ("429 Too Many Requests", failed("status 429")),
        ("500 Internal Server Error", failed("status 500")),
        ("502 Bad Gateway", failed("status 502")),
        ("503 Service Unavailable", failed("status 503")),
        ("599 Whatever", failed("status 599")),
        ("999 Beyond", failed("status 999")),
        ("205 Reset Content", failed("broke the protocol")),
        ("202 Accepted", failed("a web page")),
    ]
    .into_iter()
    .map(|(status, told)| Lie::new(status, vec![reply(status)], told))
    .collect()
}

fn redirects(elsewhere: &str) -> Vec<Lie> {
    let mut all = Vec::new();
    for to in
        ["http://169.254.169.254/latest/meta-data/", "//[fd00:ec2::254]/", elsewhere, "file:///etc/passwd"]
    {
        for status in ["301 Moved", "307 Temporary", "308 Permanent"] {
            let head = format!("HTTP/1.1 {status}\r\nlocation: {to}\r\ncontent-length: 2\r\n\r\nhi");
            all.push(Lie::new(
                format!("{status} to {to}"),
                vec![text(head)],
                failed("(a redirect, which is not followed"),
            ));
        }
    }
    all
}

fn without_bodies() -> Vec<Lie> {
    let body = "content-length: 5\r\n\r\nwords";
    vec![
        Lie::new("204", vec![text("HTTP/1.1 204 No Content\r\n\r\n")], failed("the reply is empty")),
        Lie::new(
            "204 and a body",
            vec![text(format!("HTTP/1.1 204 No Content\r\n{body}"))],
            failed("the reply is empty"),
        )
        .spoils(),
        Lie::new(
            "304 and a body",
            vec![text(format!("HTTP/1.1 304 Not Modified\r\n{body}"))],
            failed("status 304"),
        )
        .spoils(),
        Lie::new(
            "101",
            vec![text("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")],
            failed(""),
        )
        .spoils(),
        Lie::new(
            "hints before the reply",
            vec![
                text("HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".repeat(20)),
                Say::Reply("200 OK".to_owned(), JSON.to_owned(), PROPER.to_owned()),
            ],
            proper(),
        ),
    ]
}
