//! Lies below and beside HTTP: broken framing, too much, too slow, and event streams.

use std::time::Duration;

use toolplane_testkit::raw_upstream::{HONEST, Say};

use super::{HEAD, JSON, Lie, PROPER, Told, failed, proper, text};

const PAUSE: Duration = Duration::from_millis(10);
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const TOO_LARGE: Told = Told::Error("execution_error", "more than 262144 bytes");
const BROKE: Told = Told::Error("execution_error", "the connection to the upstream broke");
const LATE: Told = Told::Error("upstream_timeout", "did not answer in time");

/// What is no HTTP.
pub(super) fn framing() -> Vec<Lie> {
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let broken = |name: &str, said: String| Lie::new(name, vec![text(said)], BROKE).spoils();
    let closed = |name: &str, said: String| Lie::new(name, vec![text(said), Say::Close], BROKE).spoils();
    vec![
        closed("closed at once", String::new()),
        closed("closed in the head", HEAD.to_owned()),
        closed("closed in the body", format!("{HEAD}content-length: 1000\r\n\r\n{{\"jsonrpc\"")),
        closed("closed in a chunk", format!("{HEAD}{chunked}ff\r\n{{")),
        closed("closed between chunks", format!("{HEAD}{chunked}1\r\n{{\r\n")),
        broken("another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned()),
        broken("no status", "HTTP/1.1 OK\r\n\r\n".to_owned()),
        broken("a length that is none", format!("{HEAD}content-length: -1\r\n\r\n")),
        broken("two lengths", format!("{HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\n")),
        broken("a chunk of no size", format!("{HEAD}{chunked}zz\r\n")),
        broken("a chunk of every size", format!("{HEAD}{chunked}fffffffffffffffff\r\n")),
        broken("a chunk that is longer than it says", format!("{HEAD}{chunked}1\r\n{{{{{{\r\n0\r\n\r\n")),
        broken("a head without end", format!("{HEAD}{}", "x-more: and more\r\n".repeat(60_000))),
        Lie::new(
            "a length that is too short",
            vec![text(format!("{HEAD}content-length: 10\r\n\r\n{PROPER}"))],
            failed("breaks off"),
        )
        .spoils(),
        Lie::new(
            "two responses",
            vec![
                Say::Reply("200 OK".to_owned(), JSON.to_owned(), PROPER.to_owned()),
                Say::Reply("200 OK".to_owned(), JSON.to_owned(), PROPER.replace("proper", "another")),
            ],
            proper(),
        )
        .spoils(),
    ]
}

/// More than anybody wants.
pub(super) fn sizes() -> Vec<Lie> {
    let megabyte = " ".repeat(1 << 20);
    let gigabyte = || Say::Often(megabyte.clone(), 1 << 10);
    let chunk = Say::Often(format!("{:x}\r\n{megabyte}\r\n", megabyte.len()), 1 << 10);
    let large =
        |name: &str, head: String, body: Say| Lie::new(name, vec![text(head), body], TOO_LARGE).spoils();
    vec![
        large("a gigabyte as announced", format!("{HEAD}content-length: {}\r\n\r\n", 1 << 30), gigabyte()),
        large("a gigabyte", format!("{HEAD}\r\n"), gigabyte()),
        large("a gigabyte in chunks", format!("{HEAD}transfer-encoding: chunked\r\n\r\n"), chunk),
        large("an event of a gigabyte", format!("{STREAM}data: "), gigabyte()),
        large(
            "a stream of comments",
            STREAM.to_owned(),
            Say::Often(": nothing yet\n\n".repeat(1000), 1 << 20),
        ),
        Lie::new(
            "a failure of a gigabyte",
            vec![text("HTTP/1.1 500 Broken\r\n\r\n"), gigabyte()],
            failed("status 500"),
        )
        .spoils(),
    ]
}

/// Slower than anybody wants.
pub(super) fn pauses() -> Vec<Lie> {
    let slowly = |said: &str| Say::Slowly(said.repeat(1000), PAUSE);
    vec![
        Lie::new("silence", vec![], LATE).endless(),
        Lie::new("a slow head", vec![slowly(HEAD)], LATE).endless(),
        Lie::new("silence after the head", vec![text(format!("{HEAD}content-length: 10\r\n\r\n"))], LATE)
            .endless(),
        Lie::new("a slow body", vec![text(format!("{HEAD}\r\n")), slowly(" ")], LATE).endless(),
        Lie::new("a silent stream", vec![text(STREAM)], LATE).endless(),
        Lie::new("a slow stream", vec![text(STREAM), slowly(": x\n\n")], LATE).endless(),
        Lie::new(
            "a slow failure",
            vec![text("HTTP/1.1 500 Broken\r\n\r\n"), slowly(" ")],
            failed("status 500"),
        )
        .spoils(),
    ]
}

/// Event streams.
pub(super) fn streams() -> Vec<Lie> {
    let reply = format!("data: {PROPER}\n\n");
    let of_another = format!("data: {}\n\n", PROPER.replace("{id}", "987654321"));
    let ended = || failed("ended before the reply");
    let ping = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n";
    vec![
        Lie::events("an empty stream", "", ended()),
        Lie::events(
            "events without data",
            "event: message\nid: 1\n\ndata\n\nretry: 5\n\n: words\n\n",
            ended(),
        ),
        Lie::events("an event that does not end", format!("data: {PROPER}\n"), ended()),
        Lie::events("another's reply", of_another.clone(), ended()),
        Lie::events("another's reply, then ours", format!("{of_another}{reply}"), proper()),
        Lie::events("ids and retries", format!("id: 7\nretry: 0\nevent: odd\n{reply}"), proper()),
        Lie::events("ours, then another", format!("{reply}{}", reply.replace("proper", "evil")), proper()),
        Lie::events("half a message", "data: {\"jsonrpc\":\n\n", failed("breaks off")),
        Lie::events("no JSON", "data: words\n\n", failed("a message is not JSON")),
        Lie::events("questions", format!("{}{reply}", ping.repeat(5)), proper()),
        Lie::events("questions without end", ping.repeat(2000), failed("asks more")),
        Lie::new(
            "closed in an event",
            vec![text(format!("{STREAM}data: {{\"jsonrpc\"")), Say::Close],
            ended(),
        )
        .spoils(),
        Lie::new(
            "closed in a chunk of events",
            vec![
                text(STREAM.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\nff\r\n: x\n\n")),
                Say::Close,
            ],
            BROKE,
        )
        .spoils(),
        Lie::events("the truth", reply.replace("proper", HONEST), Told::Answer(HONEST.to_owned())),
    ]
}
