//! One connection: two ways, each a delay line from a reader to a writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::random::Random;
use super::{Counts, Faults, Shared, Target, Way};

/// Largest piece that is read at once.
const PIECE: usize = 16 << 10;
/// Pieces that may be on their way; after that the sender has to wait.
const ON_THE_WAY: usize = 256;

type Reader<'a> = Box<dyn AsyncRead + Send + Unpin + 'a>;
type Writer<'a> = Box<dyn AsyncWrite + Send + Unpin + 'a>;

/// The far side.
enum Far {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What travels: bytes, or the end where there are none, and when it may arrive.
struct Piece {
    bytes: Vec<u8>,
    due: Instant,
}

/// One way of one connection.
struct Line {
    of: fn(&Faults) -> Way,
    count: fn(&mut Counts) -> &mut u64,
    shared: Arc<Shared>,
    random: Random,
}

/// How a way ended.
enum End {
    /// The sender closed it, or the receiver is gone.
    Closed,
    /// It carried as many bytes as it may.
    Cut,
}

/// Forwards a connection to its end.
pub(super) async fn run(mut client: TcpStream, shared: Arc<Shared>, serial: u64) {
    let refused = shared.faults.borrow().refuse;
    let target = shared.target.borrow().clone();
    let far = if refused { None } else { Far::connect(&target).await };
    let Some(mut far) = far else {
        reset(&client);
        shared.counts.send_modify(|counts| counts.refused += 1);
        return;
    };
    drop(client.set_nodelay(true));
    shared.counts.send_modify(|counts| counts.opened += 1);
    let mut resets = shared.resets.subscribe();
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_target, to_target) = far.split();
        let there = Line::new(|faults| faults.to_target, |counts| &mut counts.to_target, &shared, serial * 2);
        let back =
            Line::new(|faults| faults.to_client, |counts| &mut counts.to_client, &shared, serial * 2 + 1);
        let there = there.carry(Box::new(from_client), to_target);
        let back = back.carry(from_target, Box::new(to_client));
        tokio::select! {
            cut = both(there, back) => cut,
            _ = resets.changed() => true,
        }
    };
    if is_cut {
        reset(&client);
        if let Far::Tcp(stream) = &far {
            reset(stream);
        }
    }
    drop((client, far));
    shared.counts.send_modify(|counts| counts.closed += 1);
}

/// Waits until both ways have ended, or one is cut: whether one was.
async fn both(there: impl Future<Output = End>, back: impl Future<Output = End>) -> bool {
    tokio::pin!(there, back);
    let second = tokio::select! {
        first = &mut there => match first {
            End::Cut => return true,
            End::Closed => back.await,
        },
        first = &mut back => match first {
            End::Cut => return true,
            End::Closed => there.await,
        },
    };
    matches!(second, End::Cut)
}

/// Makes the end of the connection a reset.
#[expect(deprecated, reason = "nothing waits here: a linger of zero is what makes a reset")]
fn reset(stream: &TcpStream) {
    drop(stream.set_linger(Some(Duration::ZERO)));
}

// ---- Far ----

impl Far {
    async fn connect(target: &Target) -> Option<Self> {
        match target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await.ok()?;
                drop(stream.set_nodelay(true));
                Some(Self::Tcp(stream))
            }
            Target::Unix(path) => UnixStream::connect(path).await.ok().map(Self::Unix),
        }
    }

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Box::new(reader), Box::new(writer))
            }
        }
    }
}

// ---- Line ----

impl Line {
    fn new(
        of: fn(&Faults) -> Way,
        count: fn(&mut Counts) -> &mut u64,
        shared: &Arc<Shared>,
        serial: u64,
    ) -> Self {
        let random = Random::new(shared.seed.wrapping_add(serial));
        Self { of, count, shared: Arc::clone(shared), random }
    }

    async fn carry(self, from: Reader<'_>, to: Writer<'_>) -> End {
        let Self { of, count, shared, random } = self;
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        let reading = read(from, sender, of, shared.faults.subscribe(), random);
        let writing = write(to, receiver, of, count, &shared);
        tokio::pin!(writing);
        tokio::select! {
            end = &mut writing => end,
            () = reading => writing.await,
        }
    }
}

/// Reads to the end and says when each piece may arrive.
async fn read(
    mut from: Reader<'_>,
    pieces: mpsc::Sender<Piece>,
    of: fn(&Faults) -> Way,
    faults: watch::Receiver<Faults>,
    mut random: Random,
) {
    let mut last_due = Instant::now();
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let latency = of(&faults.borrow()).latency;
        let late = latency.map_or(Duration::ZERO, |latency| latency.base + random.up_to(latency.jitter));
        last_due = last_due.max(Instant::now() + late);
        let piece = Piece { bytes: buffer.iter().take(read).copied().collect(), due: last_due };
        if pieces.send(piece).await.is_err() || read == 0 {
            return;
        }
    }
}

/// Delivers every piece when it is due.
async fn write(
    mut to: Writer<'_>,
    mut pieces: mpsc::Receiver<Piece>,
    of: fn(&Faults) -> Way,
    count: fn(&mut Counts) -> &mut u64,
    shared: &Shared,
) -> End {
    let mut faults = shared.faults.subscribe();
    let mut carried = 0_u64;
    while let Some(Piece { bytes, due }) = pieces.recv().await {
        tokio::time::sleep_until(due).await;
        let is_end = bytes.is_empty();
        let mut rest = VecDeque::from(bytes);
        while is_end || !rest.is_empty() {
            let way = match faults.wait_for(|faults| !of(faults).stalled).await {
                Ok(faults) => of(&faults),
                Err(_) => return End::Closed,
            };
            if is_end {
                // What the receiver has still to say passes on the other way.
                drop(to.shutdown().await);
                return End::Closed;
            }
            let most = way.chunks.map_or(rest.len(), |chunks| chunks.bytes.clamp(1, rest.len()));
            let left = way.cut_after.map_or(u64::MAX, |limit| limit.saturating_sub(carried));
            let now = most.min(usize::try_from(left).unwrap_or(usize::MAX));
            let next: Vec<u8> = rest.drain(..now).collect();
            if to.write_all(&next).await.is_err() {
                return End::Closed;
            }
            carried += next.len() as u64;
            shared.counts.send_modify(|counts| *count(counts) += next.len() as u64);
            if way.cut_after.is_some_and(|limit| carried >= limit) {
                return End::Cut;
            }
            if let Some(chunks) = way.chunks {
                tokio::time::sleep(chunks.pause).await;
            }
        }
    }
    End::Closed
}
