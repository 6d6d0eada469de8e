//! The worker's end of the two pipes, as the engine uses them.

use std::cell::RefCell;
use std::io::{BufReader, BufWriter, Stdin, Stdout, stdin, stdout};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::engine::{Link, Woken};
use crate::frames::{self, Error, FromWorker, ToWorker};

/// Standard input and output, which are pipes to the host.
pub(super) struct Pipes {
    input: RefCell<BufReader<Stdin>>,
    out: RefCell<BufWriter<Stdout>>,
}

impl Pipes {
    pub(super) fn new() -> Self {
        Self {
            input: RefCell::new(BufReader::with_capacity(8 * 1024, stdin())),
            out: RefCell::new(BufWriter::with_capacity(8 * 1024, stdout())),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        frames::read(&mut *self.input.borrow_mut())
    }

    pub(super) fn write(&self, message: &impl Serialize) -> Result<(), Error> {
        frames::write(&mut *self.out.borrow_mut(), message)
    }
}

impl Link for Pipes {
    fn call(&self, id: u32, tool: u32, arguments: Box<RawValue>) -> Result<(), Error> {
        self.write(&FromWorker::Call { id, tool, arguments })
    }

    fn printed(&self, text: String, truncated: bool) -> Result<(), Error> {
        self.write(&FromWorker::Printed { text, truncated })
    }

    fn wait(&self) -> Result<Woken, Error> {
        self.write(&FromWorker::Wait)?;
        Ok(match self.read()? {
            ToWorker::Answers(answers) => Woken::Answers(answers),
            // The host never sends a program during a run.
            ToWorker::Abort | ToWorker::Run(_) => Woken::TimeIsUp,
        })
    }
}
