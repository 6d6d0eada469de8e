//! A binary that is a worker of code mode and nothing else, for the tests of this crate.

use std::process::ExitCode;

use toolplane_sandbox::{Accounting, worker};

#[global_allocator]
static ALLOCATOR: Accounting = Accounting;

fn main() -> ExitCode {
    worker::run_if_asked().unwrap_or(ExitCode::FAILURE)
}
