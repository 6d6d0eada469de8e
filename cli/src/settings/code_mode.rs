//! Settings of code mode. They are looked at only where it is on, as they always were.

use toolplane_data_plane::code_mode::Settings;
use toolplane_sandbox::Limits;
use toolplane_sandbox::program::MAX_SOURCE;

use super::Reader;
use crate::env;

/// The most that a size may be.
const MAX_BYTES: usize = 32 << 20;
/// The most that a number of something may be.
const MAX_NUMBER: usize = 1 << 20;

/// The settings, where code mode is on.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    if !reader.flag(&env::GATEWAY_CODE_MODE, false) {
        return None;
    }
    let defaults = Settings::default();
    let limits = limits(reader, defaults.limits);
    let mut number =
        |variable, least, default| reader.integer(variable, (least, MAX_NUMBER)).unwrap_or(default);
    let max_runs = number(&env::CODE_MODE_MAX_RUNS, 1, defaults.max_runs);
    let max_runs_per_caller = number(&env::CODE_MODE_MAX_RUNS_PER_CALLER, 1, defaults.max_runs_per_caller);
    let cores = number(&env::CODE_MODE_CORES, 1, defaults.cores);
    let ready = reader.integer(&env::CODE_MODE_READY_WORKERS, (0, 64));
    let runs = reader.integer(&env::CODE_MODE_RUNS_PER_WORKER, (1, 1_000_000));
    Some(Settings {
        limits,
        max_runs,
        max_runs_per_caller,
        total_memory: reader.integer(&env::CODE_MODE_TOTAL_MEMORY, (1, 1 << 50)),
        ready_workers: ready.unwrap_or(defaults.ready_workers),
        runs_per_worker: runs.unwrap_or(defaults.runs_per_worker),
        cores,
        audit_verbatim: reader.flag(&env::GATEWAY_CODE_MODE_AUDIT_VERBATIM, false),
        worker_binary: None,
    })
}

fn limits(reader: &mut Reader<'_>, defaults: Limits) -> Limits {
    let duration = reader.seconds(&env::GATEWAY_CODE_MODE_MAX_DURATION_SECS).unwrap_or(defaults.duration);
    let mut number = |variable, bounds, default| reader.integer(variable, bounds).unwrap_or(default);
    Limits {
        duration,
        memory: number(&env::GATEWAY_CODE_MODE_MAX_MEMORY, (1, 1 << 40), defaults.memory),
        allocations: number(&env::GATEWAY_CODE_MODE_MAX_ALLOCATIONS, (1, 1 << 50), defaults.allocations),
        recursion: number(&env::GATEWAY_CODE_MODE_MAX_RECURSION_DEPTH, (1, 10_000), defaults.recursion),
        calls: number(&env::GATEWAY_CODE_MODE_MAX_NESTED_CALLS, (1, MAX_NUMBER), defaults.calls),
        concurrent_calls: number(&env::CODE_MODE_MAX_CONCURRENT_CALLS, (1, 1024), defaults.concurrent_calls),
        source: number(&env::CODE_MODE_MAX_SOURCE_BYTES, (1, MAX_SOURCE), defaults.source),
        result: number(&env::CODE_MODE_MAX_RESULT_BYTES, (1, MAX_BYTES), defaults.result),
        stdout: number(&env::CODE_MODE_MAX_STDOUT_BYTES, (0, MAX_BYTES), defaults.stdout),
        answer: number(&env::CODE_MODE_MAX_ANSWER_BYTES, (1, MAX_BYTES), defaults.answer),
    }
}
