//! The worker's end of the two pipes, as the engine uses them.

use std::io::{BufReader, BufWriter, Stdin, Stdout, stdin, stdout};

use serde_json::value::RawValue;

use crate::engine::{Link, Woken};
use crate::frames::{self, Error, FromWorker, ToWorker};

/// Standard input and output, which are pipes to the host.
pub(super) struct Pipes {
    input: BufReader<Stdin>,
    out: BufWriter<Stdout>,
}

impl Pipes {
    pub(super) fn new() -> Self {
        Self {
            input: BufReader::with_capacity(8 * 1024, stdin()),
            out: BufWriter::with_capacity(8 * 1024, stdout()),
        }
    }

    pub(super) fn input(&mut self) -> &mut BufReader<Stdin> {
        &mut self.input
    }

    pub(super) fn out(&mut self) -> &mut BufWriter<Stdout> {
        &mut self.out
    }
}

impl Link for Pipes {
    fn call(&mut self, id: u32, tool: u32, arguments: Box<RawValue>) -> Result<(), Error> {
        frames::write(&mut self.out, &FromWorker::Call { id, tool, arguments })
    }

    fn wait(&mut self) -> Result<Woken, Error> {
        frames::write(&mut self.out, &FromWorker::Wait)?;
        Ok(match frames::read(&mut self.input)? {
            ToWorker::Answers(answers) => Woken::Answers(answers),
            // The host never sends a program during a run.
            ToWorker::Abort | ToWorker::Run(_) => Woken::TimeIsUp,
        })
    }
}
