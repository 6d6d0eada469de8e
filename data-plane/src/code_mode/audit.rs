//! What is noted of a run: one record at its end, however it ends, one that nobody waits for any more included.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// Where audit records go; operators keep them apart from everything else. Their field `audit` is a JSON object.
pub const TARGET: &str = "toolplane::audit";

/// The record, as it is written.
#[derive(Serialize)]
struct Record<'a> {
    code_session_id: &'a str,
    code_sha256: &'a str,
    code_byte_len: usize,
    code_line_count: usize,
    user_subject: Option<&'a str>,
    step_count: usize,
    tool_names_invoked: &'a [String],
    duration_ms: f64,
    is_error: bool,
}

/// A run under way. Dropped without an ending, it was cancelled.
#[derive(Debug)]
pub(super) struct Audit {
    session: String,
    sha256: String,
    bytes: usize,
    lines: usize,
    subject: Option<String>,
    began: Instant,
    steps: Mutex<Vec<String>>,
    ended: bool,
}

impl Audit {
    /// Begins the record of a program.
    pub(super) fn begin(source: &str, subject: Option<&str>, verbatim: bool) -> Self {
        let session = session_id();
        if verbatim {
            tracing::debug!(target: TARGET, code = source, session, "code_mode.code_body");
        }
        Self {
            session,
            sha256: format!("{:x}", Sha256::digest(source)),
            bytes: source.len(),
            lines: source.lines().count(),
            subject: subject.map(str::to_owned),
            began: Instant::now(),
            steps: Mutex::default(),
            ended: false,
        }
    }

    pub(super) fn session(&self) -> &str {
        &self.session
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Notes that a tool is called.
    pub(super) fn step(&self, tool: &str) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(tool.to_owned());
    }

    /// How many tools were called.
    pub(super) fn steps(&self) -> usize {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Writes the record of a run that came to an end.
    pub(super) fn end(mut self, code: Option<&str>) {
        self.write(code);
    }

    fn write(&mut self, code: Option<&str>) {
        self.ended = true;
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            code_session_id: &self.session,
            code_sha256: &self.sha256,
            code_byte_len: self.bytes,
            code_line_count: self.lines,
            user_subject: self.subject.as_deref(),
            step_count: steps.len(),
            tool_names_invoked: &steps,
            duration_ms: (self.began.elapsed().as_secs_f64() * 100_000.0).round() / 100.0,
            is_error: code.is_some(),
        };
        // A log of JSON lines shows it as an object.
        let audit = serde_json::to_string(&record).unwrap_or_default();
        tracing::info!(target: TARGET, audit, error.code = code, "code_mode.invoked");
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if !self.ended {
            self.write(Some("cancelled"));
        }
    }
}

/// A random UUID (RFC 9562, version 4).
fn session_id() -> String {
    let mut bytes = [0_u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system has no randomness; a code session has no id of its own");
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_a_random_uuid() {
        let (one, other) = (session_id(), session_id());
        assert_ne!(one, other);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(one.get(14..15), Some("4"));
        assert!(one.get(19..20).is_some_and(|digit| "89ab".contains(digit)), "{one}");
    }

    #[test]
    fn the_digest_is_that_of_the_source() {
        let audit = Audit::begin("x = (", None, false);
        assert_eq!(audit.sha256(), "a17c34e85f5e4a8f57680476df04a529157ea87a173c2fa095b3acb7019fb885");
        assert_eq!((audit.bytes, audit.lines), (5, 1));
        audit.end(Some("syntax_error"));
    }
}
