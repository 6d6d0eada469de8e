//! Code mode's sandbox: the worker process that runs a program, and the pool of workers on the host side.
//!
//! # Responsibilities
//!
//! * Running a Python program that a stranger wrote, in a process of its own that can do nothing but compute and ask.
//! * Holding it to its limits: time, memory, allocations, depth, calls, sizes.
//! * Telling the host which tools the program wants called, and the program what came of it.
//! * Reporting how it ended: a value, or a coded failure with a line, and the calls that were made.
//!
//! # Not here
//!
//! No tool, caller, policy or upstream: the host side is handed names and answers calls through [`Calls`].
//! Whether somebody may run programs at all is decided before [`Pool::run`].
//!
//! # Layout
//!
//! | module | side | holds |
//! |---|---|---|
//! | [`program`] | both | what is to be run, and its limits |
//! | [`outcome`] | both | what came of it |
//! | [`identifier`] | host | the safe Python name of a tool |
//! | `frames` | both | the messages between the two, bounded and checked |
//! | [`pool`] | host | workers made ready ahead of need, and the conversation with one |
//! | [`worker`] | worker | the start of the worker and what it is copied from, its locks and its conversation |
//! | `engine` | worker | the interpreter; no other module knows its types |
//! | [`accounting`] | worker | the allocator that counts |
//!
//! # The way of a program
//!
//! The pool takes a worker that stands ready and sends it the source, the limits and the names of the tools that the
//! source mentions. The program runs in the worker; where it calls a tool the worker sends the tool's number and the
//! arguments, and goes on. When every part of the program waits, the worker says so and the host sends what is done.
//! At the end the worker sends a value or a failure, and is killed.
//! The host believes nothing of what it is told: every message has a size, a place in the conversation and a meaning
//! that are checked, and a worker that says anything else is killed.

pub mod accounting;
mod engine;
mod frames;
pub mod identifier;
pub mod outcome;
pub mod pool;
pub mod program;
pub mod worker;

pub use accounting::Accounting;
pub use outcome::{Call, Code, Effect, Failure, Limit, Outcome, StoppedBy, Value};
pub use pool::{Calls, NestedCall, NotReady, Options, Pool, ToolFailure};
pub use program::{Limits, Program, Tool};

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
