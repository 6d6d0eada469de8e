//! How far something is: a bar that is drawn over at a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

/// Columns of the bar.
const WIDTH: u32 = 24;

/// Shows progress until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    shown: String,
}

impl Default for Progress {
    fn default() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: String::new() }
    }
}

impl Progress {
    /// Shows that `done` of `all` is there; the same twice is shown once.
    pub(crate) fn show(&mut self, done: u32, all: u32, text: &str) {
        if self.shown == text {
            return;
        }
        text.clone_into(&mut self.shown);
        if self.is_terminal {
            let mut err = io::stderr().lock();
            // Where stderr is closed nobody is watching.
            drop(write!(err, "\r\u{1b}[K{} {text}", bar(done, all)).and_then(|()| err.flush()));
        } else {
            super::say(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal && !self.shown.is_empty() {
            drop(write!(io::stderr().lock(), "\r\u{1b}[K"));
        }
    }
}

fn bar(done: u32, all: u32) -> String {
    let filled = WIDTH.saturating_mul(done.min(all)).checked_div(all).unwrap_or(0);
    let cell = |column| if column < filled { '█' } else { '░' };
    (0..WIDTH).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_in_step() {
        for (done, all, filled) in [(0, 0, 0), (0, 3, 0), (1, 3, 8), (3, 3, 24), (9, 3, 24)] {
            let bar = bar(done, all);
            assert_eq!(bar.matches('█').count(), filled, "{done} of {all}");
            assert_eq!(bar.chars().count(), 24);
        }
    }
}
