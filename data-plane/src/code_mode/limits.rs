//! What code mode may take: settings with their checks.

use std::path::PathBuf;

use toolplane_registry::{Rejection, Rule};
use toolplane_sandbox::Limits;
use toolplane_sandbox::program::MAX_SOURCE;

/// The most that a result or an answer may be set to: written as JSON it must fit into a frame.
const MAX_BYTES: usize = 32 << 20;
/// The most workers that may stand ready.
const MAX_READY: usize = 64;

/// Settings of code mode.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of one program.
    pub limits: Limits,
    /// How many programs run at one time, and how many of one caller.
    pub max_runs: usize,
    /// See above. Callers are told apart by the subject that a hook found, else by the address that they come from.
    pub max_runs_per_caller: usize,
    /// Bytes that all programs may have together, which bounds how many run at one time; none: half of what there is.
    pub total_memory: Option<u64>,
    /// How many workers stand ready.
    pub ready_workers: usize,
    /// How many programs a worker takes before it is replaced.
    pub runs_per_worker: u32,
    /// How many cores all workers share; 0: as many as there are.
    pub cores: usize,
    /// Whether programs are written to the log, at debug level.
    pub audit_verbatim: bool,
    /// The binary that is started as a worker; none: this one.
    pub worker_binary: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_runs: 32,
            max_runs_per_caller: 8,
            total_memory: None,
            ready_workers: 2,
            runs_per_worker: 1,
            cores: 0,
            audit_verbatim: false,
            worker_binary: None,
        }
    }
}

impl Settings {
    /// Everything that makes no sense.
    pub(crate) fn check(&self) -> Vec<Rejection> {
        let Limits {
            duration,
            memory,
            allocations,
            recursion,
            calls,
            concurrent_calls,
            source,
            result,
            stdout,
            answer,
        } = self.limits;
        let mut rejections = Vec::new();
        let mut refuse = |subject: &str, reason: &str| {
            rejections.push(Rejection::new(format!("code mode: {subject}"), Rule::Setting, reason));
        };
        if duration.is_zero() {
            refuse("duration", "is zero");
        }
        for (name, number) in [
            ("memory", memory),
            ("allocations", allocations),
            ("recursion depth", recursion),
            ("nested calls", calls),
            ("nested calls at one time", concurrent_calls),
            ("source size", source),
            ("result size", result),
            ("size of an answer", answer),
            ("programs at one time", self.max_runs),
            ("programs of a caller at one time", self.max_runs_per_caller),
        ] {
            if number == 0 {
                refuse(name, "is zero");
            }
        }
        if result.max(answer).max(stdout) > MAX_BYTES {
            refuse("size of results, answers and output", "is more than a message to or from a worker holds");
        }
        if self.ready_workers > MAX_READY {
            refuse("workers that stand ready", "are more than make sense");
        }
        if source > MAX_SOURCE {
            refuse("source size", "is more than the parser is known to take");
        }
        rejections
    }

    /// As the sandbox takes them.
    pub(super) fn pool(&self) -> toolplane_sandbox::Options {
        toolplane_sandbox::Options {
            ready: self.ready_workers.min(self.max_runs),
            runs_per_worker: self.runs_per_worker,
            memory: self.limits.memory,
            duration: self.limits.duration,
            cores: self.cores,
            binary: self.worker_binary.clone(),
            ..toolplane_sandbox::Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        assert!(Settings::default().check().is_empty());
        let wrong = Settings {
            limits: Limits { memory: 0, source: MAX_SOURCE + 1, ..Limits::default() },
            max_runs: 0,
            ..Settings::default()
        };
        let wrong: Vec<String> = wrong.check().iter().map(ToString::to_string).collect();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
