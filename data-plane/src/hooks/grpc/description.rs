//! What a service says of itself, and no more of it than has to be believed.

use toolplane_proto::hooks::{DescribeRequest, DescribeResponse};
use toolplane_registry::policy::Globs;

use super::path;
use super::unary::{Asker, Error, Question, frame};
use crate::channel::cause;

/// Largest description that is read.
const MAX_BYTES: usize = 4 << 20;
/// How much a service may say of itself.
const MAX_INSTANCE_BYTES: usize = 128;
const MAX_PHASES: usize = 64;
const MAX_GLOBS: usize = 64;
const MAX_GLOB_BYTES: usize = 256;

/// What one start of a service says of itself.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) instance: String,
    /// As numbers of the wire, of which this build need not know all.
    pub(super) phases: Vec<i32>,
    pub(super) wants_end_call: bool,
    /// The caller's headers that it wants; absent: all.
    pub(super) headers: Option<Globs>,
}

impl Description {
    /// Asks a service what it is.
    pub(super) async fn ask(asker: &Asker, build: &str) -> Result<Self, String> {
        let request = DescribeRequest { node_build: build.to_owned() };
        let answer = match &mut frame(&request) {
            Ok(frame) => {
                asker.ask(Question { path: path::DESCRIBE, frame, max_answer_bytes: MAX_BYTES }).await
            }
            Err(error) => return Err(words(error)),
        };
        Self::read(answer.map_err(|error| words(&error))?)
    }

    /// Refuses a description that is larger than any has to be.
    fn read(described: DescribeResponse) -> Result<Self, String> {
        let DescribeResponse { name, instance, phases, wants_end_call, headers } = described;
        if instance.is_empty() {
            return Err("it does not say which start of it this is".to_owned());
        }
        if instance.len() > MAX_INSTANCE_BYTES || phases.len() > MAX_PHASES {
            return Err("it says more of itself than it may".to_owned());
        }
        if headers.len() > MAX_GLOBS || headers.iter().any(|glob| glob.len() > MAX_GLOB_BYTES) {
            return Err("it asks for headers in too many words".to_owned());
        }
        let headers = (!headers.is_empty()).then(|| Globs::compile(&headers)).transpose();
        let headers = headers.map_err(|rejection| rejection.to_string())?;
        Ok(Self { name, instance, phases, wants_end_call, headers })
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Unsent(error) | Error::Lost(error) => cause(error),
        Error::Reset(reason) => format!("it took the question back: {reason}"),
        Error::Status(status) => status.message().to_owned(),
        Error::Invalid(words) => (*words).to_owned(),
        Error::NoRoom => "there is no room for what it says".to_owned(),
    }
}
