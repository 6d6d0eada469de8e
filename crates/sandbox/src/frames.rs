//! The messages between host and worker.
//!
//! A frame is a version (one byte), a length (four bytes, little endian) and that many bytes of JSON.
//! The length is compared with what the reader takes at that point before a byte of the body is read, and a body that is
//! not exactly one message of the expected kind is an error. Neither side goes on after an error.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::outcome::{Failure, Value};
use crate::program::{Limits, Tool};

/// Raised whenever a message changes: host and worker are the same program, so anything else is a mistake or a lie.
pub(crate) const VERSION: u8 = 2;

/// Bytes before the body.
const HEADER: usize = 5;

/// The largest arguments of one call, in bytes of JSON.
pub(crate) const MAX_ARGUMENTS: usize = 2 * 1024 * 1024;

/// Room for the fixed parts of a message: names, tracebacks, sentences.
const ROOM: usize = 256 * 1024;

/// What a mark may add to an output that was cut off.
pub(crate) const MARKED: usize = 64;

/// JSON may write one byte as six.
pub(crate) const ESCAPED: usize = 6;

/// No frame is larger, whatever the limits are.
const MAX_FRAME: usize = 256 * 1024 * 1024;

/// So many lines that a program prints are sent one by one.
pub(crate) const PRINTS_AT_ONCE: u32 = 32;
/// From then on, lines are gathered for so long,
pub(crate) const PRINTS_GATHERED: Duration = Duration::from_millis(20);
/// or until there are so many bytes.
pub(crate) const PRINTS_FULL: usize = 4 * 1024;

/// What the host says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum ToWorker {
    /// The program of this run.
    Run(Box<Run>),
    /// Calls that are done.
    Answers(Vec<Answer>),
    /// Time is up.
    Abort,
}

/// A program as it is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) source: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) limits: Limits,
}

/// The end of one call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) id: u32,
    pub(crate) end: AnswerEnd,
}

/// How a call ended, as the program learns it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum AnswerEnd {
    /// With a value.
    Given(Box<RawValue>),
    /// With a failure.
    Failed { code: String, message: String },
}

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum FromWorker {
    /// It is locked down and waits for a program.
    Ready,
    /// It has been given a program and begins to run it.
    Taken,
    /// The program calls a tool and goes on.
    Call { id: u32, tool: u32, arguments: Box<RawValue> },
    /// The program has printed this.
    Printed {
        text: String,
        /// Whether there was more than it may print.
        truncated: bool,
    },
    /// Every part of the program waits for calls.
    Wait,
    /// The program has ended.
    Done(Box<Done>),
}

/// The end of a program as the worker tells it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {
    pub(crate) end: Result<Value, Failure>,
    /// What was printed and not told before.
    pub(crate) stdout: String,
    /// Whether something is missing at its end.
    pub(crate) truncated: bool,
    pub(crate) note: Option<String>,
}

impl Answer {
    /// Roughly its bytes.
    pub(crate) fn size(&self) -> usize {
        match &self.end {
            AnswerEnd::Given(json) => json.get().len(),
            AnswerEnd::Failed { code, message } => code.len().saturating_add(message.len()),
        }
    }
}

/// Why a frame was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a frame of version {0}")]
    Version(u8),
    #[error("a frame of {length} bytes where {max} are taken")]
    Length { length: usize, max: usize },
    #[error("no message: {0}")]
    Body(#[from] serde_json::Error),
    #[error("the pipe: {0}")]
    Pipe(#[from] io::Error),
}

/// The largest frame that a worker may send during a run with these limits.
pub(crate) fn max_from_worker(limits: &Limits) -> usize {
    let result = limits.result.saturating_mul(ESCAPED + 1);
    let stdout = limits.stdout.saturating_mul(ESCAPED);
    result.saturating_add(stdout).max(MAX_ARGUMENTS).saturating_add(ROOM).min(MAX_FRAME)
}

/// In how many messages the output of a run with these limits comes at most: by lines, bytes and time, and before calls.
pub(crate) fn most_prints(limits: &Limits) -> usize {
    let by_time = limits.duration.as_millis() / PRINTS_GATHERED.as_millis().max(1);
    let by_calls = limits.calls.saturating_mul(2);
    let by_size = limits.stdout / PRINTS_FULL;
    usize::try_from(by_time)
        .unwrap_or(usize::MAX)
        .saturating_add(by_calls)
        .saturating_add(by_size)
        .saturating_add(2 * usize::try_from(PRINTS_AT_ONCE).unwrap_or_default())
}

/// The bytes of one message.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len().saturating_sub(HEADER);
    let written = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let written = written.ok_or(Error::Length { length, max: MAX_FRAME })?;
    let header = std::iter::once(VERSION).chain(written.to_le_bytes());
    for (place, byte) in frame.iter_mut().zip(header) {
        *place = byte;
    }
    Ok(frame)
}

/// The length of the body, if this header may be followed.
pub(crate) fn length(header: [u8; HEADER], max: usize) -> Result<usize, Error> {
    let [version, a, b, c, d] = header;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let max = max.min(MAX_FRAME);
    if length > max { Err(Error::Length { length, max }) } else { Ok(length) }
}

/// The message of a body.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    Ok(serde_json::from_slice(body)?)
}

/// Sends one message from the worker.
pub(crate) fn write(to: &mut impl Write, message: &impl Serialize) -> Result<(), Error> {
    to.write_all(&encode(message)?)?;
    Ok(to.flush()?)
}

/// Reads one message in the worker.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, Error> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let length = length(header, MAX_FRAME)?;
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    decode(&body)
}

/// Sends one message from the host.
pub(crate) async fn send(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), Error> {
    to.write_all(frame).await?;
    Ok(to.flush().await?)
}

/// Reads on the host side; keeps what has arrived, so that a read may be given up half way and taken up again.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// What has come of the frame at hand.
    held: Vec<u8>,
    /// The length of its body, once that is known.
    expected: Option<usize>,
}

impl Incoming {
    /// The next message, of at most `max` bytes.
    ///
    /// Cancel safe: nothing that has been read is lost.
    pub(crate) async fn next<T, R>(&mut self, from: &mut R, max: usize) -> Result<T, Error>
    where
        T: DeserializeOwned,
        R: AsyncRead + Unpin,
    {
        loop {
            if let Some(message) = self.taken(max)? {
                return Ok(message);
            }
            let missing = self
                .expected
                .map_or(HEADER, |length| HEADER.saturating_add(length))
                .saturating_sub(self.held.len());
            let read = (&mut *from).take(missing as u64).read_buf(&mut self.held).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// The message, once all of it is here.
    fn taken<T: DeserializeOwned>(&mut self, max: usize) -> Result<Option<T>, Error> {
        let Some((header, body)) = self.held.split_first_chunk::<HEADER>() else { return Ok(None) };
        let expected = match self.expected {
            Some(expected) => expected,
            None => *self.expected.insert(length(*header, max)?),
        };
        if body.len() < expected {
            return Ok(None);
        }
        let message = decode(body)?;
        self.held.clear();
        self.expected = None;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests;
