//! A binary that is a worker and nothing else, for the tests of this crate.

use std::process::ExitCode;

use toolplane_sandbox::{Accounting, worker};

#[global_allocator]
static ALLOCATOR: Accounting = Accounting;

fn main() -> ExitCode {
    worker::run_if_asked().or_else(attempts).unwrap_or(ExitCode::FAILURE)
}

/// With `--attempts PARENT` it says what a worker is refused.
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
fn attempts() -> Option<ExitCode> {
    use std::io::Write as _;

    let parent = std::env::args().skip_while(|argument| argument != "--attempts").nth(1)?.parse().ok()?;
    let mut said = String::new();
    for (name, is_refused) in worker::attempts(parent)? {
        said.extend([name, if is_refused { ": refused\n" } else { ": let through\n" }]);
    }
    std::io::stdout().write_all(said.as_bytes()).ok()?;
    Some(ExitCode::SUCCESS)
}

#[cfg(not(all(feature = "fuzzing", target_os = "linux")))]
fn attempts() -> Option<ExitCode> {
    None
}
