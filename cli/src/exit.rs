//! The exit codes that are promised, and the failure that carries one.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What a failure means to whoever started the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The operation failed or was refused.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// No control plane answered, or no node where one was to be called.
    Unreachable,
    /// Nobody reads what is printed any more, which is their good right.
    OutputClosed,
}

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Decides the exit code.
    pub(crate) kind: Kind,
    /// One line per thing that is wrong.
    pub(crate) messages: Vec<String>,
    /// What may help.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    /// The operation failed or was refused.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// No control plane answered.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What the process ends with.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::OutputClosed => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
        })
    }

    fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, messages: vec![message.to_string()], hints: Vec::new() }
    }
}

/// Writing to stdout is the only input or output whose error is passed on bare.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => {
                Self { kind: Kind::OutputClosed, messages: Vec::new(), hints: Vec::new() }
            }
            _ => Self::failed(format!("the output cannot be written: {error}")),
        }
    }
}
