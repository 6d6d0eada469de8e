//! An upstream that says whatever a test wants it to, byte by byte.
//!
//! Plain TCP, and no HTTP library: heads may be broken, bodies endless. Only calls of tools are lied to; handshakes and
//! notifications are answered properly, and so is every call once the lie is taken back. Watches what becomes of a
//! connection on which it lied. Stops when dropped.

mod request;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::request::Request;

/// The text in an honest answer.
pub const HONEST: &str = "the truth";

/// A part of a lie. In texts `{id}` stands for the id of the request.
#[derive(Debug, Clone)]
pub enum Say {
    /// A reply with this status line, media type and body, framed as it should be.
    Reply(String, String, String),
    /// This text.
    Text(String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// This text, a byte at a time with a pause after each.
    Slowly(String, Duration),
    /// The same text so many times, as far as somebody reads.
    Often(String, u64),
    /// Nothing more: the connection is closed.
    Close,
}

/// What became of lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Calls that were lied to.
    pub lied: usize,
    /// Bytes that were said in lies.
    pub said: u64,
    /// Connections that were lied on and are open.
    pub open: usize,
    /// Requests that came over a connection after a lie.
    pub reused: usize,
}

/// A running upstream.
#[derive(Debug)]
pub struct RawUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<Script>,
    seen: watch::Sender<Seen>,
}

#[derive(Debug, Default)]
struct Script {
    lie: Option<Vec<Say>>,
    /// Tells lies apart.
    number: u64,
}

/// One connection.
struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// The newest lie that was told over it.
    lied: Option<u64>,
}

impl RawUpstream {
    /// Listens on a free port of the loopback interface, and is honest.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let mut serving = JoinSet::new();
        let accepting = Arc::clone(&shared);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let stream = accepted.unwrap().0;
                        stream.set_nodelay(true).unwrap();
                        let connection = Connection { stream, shared: Arc::clone(&accepting), lied: None };
                        connections.spawn(connection.serve());
                    }
                    // So that what has ended is gone.
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, shared, _serving: serving }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Answers calls of tools like this from now on.
    pub fn lie(&self, lie: &[Say]) {
        let mut script = self.shared.script.lock().unwrap();
        *script = Script { lie: Some(lie.to_vec()), number: script.number + 1 };
        drop(script);
        self.shared.seen.send_modify(|seen| *seen = Seen { open: seen.open, ..Seen::default() });
    }

    /// Is honest from now on.
    pub fn be_honest(&self) {
        self.shared.script.lock().unwrap().lie = None;
    }

    /// What became of the newest lie; connections of older ones are counted while they are open.
    pub fn seen(&self) -> Seen {
        *self.shared.seen.borrow()
    }

    /// Waits until no connection is open on which it lied.
    pub async fn wait_until_dropped(&self) {
        self.shared.seen.subscribe().wait_for(|seen| seen.open == 0).await.unwrap();
    }
}

impl Shared {
    /// The lie that a request is due, and the number of the newest lie.
    fn due(&self, request: &Request) -> (Option<Vec<Say>>, u64) {
        let script = self.script.lock().unwrap();
        (script.lie.clone().filter(|_| request.method == "tools/call"), script.number)
    }
}

impl Connection {
    async fn serve(mut self) {
        while let Some(request) = Request::read(&mut self.stream).await {
            let (lie, number) = self.shared.due(&request);
            if self.lied == Some(number) {
                self.shared.seen.send_modify(|seen| seen.reused += 1);
            }
            let goes_on = match lie {
                Some(lie) => self.tell(&lie, number, &request.id).await,
                None => self.stream.write_all(request.honest_answer().as_bytes()).await.is_ok(),
            };
            if !goes_on {
                break;
            }
        }
    }

    /// Lies, as far as somebody listens; `false` where there is nothing more to say.
    async fn tell(&mut self, lie: &[Say], number: u64, id: &str) -> bool {
        let is_first = self.lied.replace(number).is_none();
        self.shared.seen.send_modify(|seen| {
            seen.lied += 1;
            seen.open += usize::from(is_first);
        });
        for part in lie {
            let was_heard = match part {
                Say::Reply(status, kind, body) => {
                    let body = body.replace("{id}", id);
                    let head = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}",
                        body.len()
                    );
                    self.say(format!("{head}\r\n\r\n{body}").as_bytes()).await
                }
                Say::Text(text) => self.say(text.replace("{id}", id).as_bytes()).await,
                Say::Bytes(bytes) => self.say(bytes).await,
                Say::Slowly(text, pause) => self.say_slowly(&text.replace("{id}", id), *pause).await,
                Say::Often(text, times) => self.say_often(text, *times).await,
                Say::Close => false,
            };
            if !was_heard {
                return false;
            }
        }
        true
    }

    async fn say(&mut self, bytes: &[u8]) -> bool {
        let was_heard = self.stream.write_all(bytes).await.is_ok();
        self.shared.seen.send_modify(|seen| seen.said += u64::try_from(bytes.len()).unwrap());
        was_heard
    }

    async fn say_slowly(&mut self, text: &str, pause: Duration) -> bool {
        for byte in text.as_bytes() {
            if !self.say(&[*byte]).await {
                return false;
            }
            tokio::time::sleep(pause).await;
        }
        true
    }

    async fn say_often(&mut self, text: &str, times: u64) -> bool {
        for _ in 0..times {
            if !self.say(text.as_bytes()).await {
                return false;
            }
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.lied.is_some() {
            self.shared.seen.send_modify(|seen| seen.open -= 1);
        }
    }
}
