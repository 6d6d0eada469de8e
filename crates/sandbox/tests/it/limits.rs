//! Limits, cancellation, and workers that die.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use toolplane_sandbox::outcome::Status;
use toolplane_sandbox::pool::Answered;
use toolplane_sandbox::{Calls, Code, Limit, Limits, NestedCall, Options, Pool, StoppedBy};

use crate::harness::{Tools, failure_with, options, pool, program, run_with};

fn limits() -> Limits {
    Limits { duration: Duration::from_millis(600), memory: 32 * 1024 * 1024, ..Limits::default() }
}

#[tokio::test]
async fn each_limit_says_which_it_is() {
    let cases = [
        ("while True:\n    pass", Limit::Duration),
        ("await never()", Limit::Duration),
        ("x = 'x' * 100000000", Limit::Memory),
        ("def f():\n    f()\nf()", Limit::Recursion),
    ];
    for (source, limit) in cases {
        let failure = failure_with(source, limits()).await;
        assert_eq!(
            (failure.code, failure.limit),
            (Code::LimitExceeded, Some(limit)),
            "{source}: {failure:?}"
        );
    }
    let allocations = Limits { allocations: 1000, ..limits() };
    let failure =
        failure_with("x = []\nfor i in range(1000000):\n    x.append([i])\nlen(x)", allocations).await;
    assert_eq!((failure.code, failure.limit), (Code::LimitExceeded, Some(Limit::Allocations)), "{failure:?}");
    let calls = Limits { calls: 3, ..limits() };
    let outcome = run_with("for i in range(4):\n    await echo(str(i))", calls).await;
    let failure = outcome.end.expect_err("a failure");
    assert_eq!((failure.code, failure.line, outcome.calls.len()), (Code::NestedCallLimit, Some(2), 3));
    assert!(outcome.calls.iter().all(|call| call.status == Status::Done));
    run_with("for i in range(3):\n    await echo(str(i))", calls).await.end.expect("as many as allowed");
}

#[tokio::test]
async fn recursion_within_the_limit_is_fine() {
    let shallow = Limits { recursion: 50, ..Limits::default() };
    let outcome = run_with("def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nf(30)", shallow).await;
    assert_eq!(outcome.end.expect("a value").text, "30");
}

#[tokio::test]
async fn waiting_and_computing_share_one_clock() {
    let begun = Instant::now();
    let outcome = run_with("print('before')\nawait slow(0.4)\nwhile True:\n    pass", limits()).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let failure = outcome.end.expect_err("a failure");
    assert_eq!(failure.limit, Some(Limit::Duration));
    assert_eq!(outcome.calls.len(), 1);
}

#[tokio::test]
async fn calls_under_way_at_the_end_are_told() {
    let outcome = run_with("import asyncio\nawait asyncio.gather(echo('x'), never())", limits()).await;
    assert_eq!(outcome.end.expect_err("a failure").limit, Some(Limit::Duration));
    let status: Vec<&Status> = outcome.calls.iter().map(|call| &call.status).collect();
    assert_eq!(status, [&Status::Done, &Status::Abandoned]);
}

#[tokio::test]
async fn calls_that_wait_for_their_turn_hide_nothing_from_the_clock() {
    let crowded = Limits { concurrent_calls: 2, ..limits() };
    let source = "import asyncio\nprint('kept', end='')\nawait asyncio.gather(*[never() for _ in range(6)])";
    let outcome = run_with(source, crowded).await;
    let failure = outcome.end.expect_err("a failure");
    assert_eq!(failure.limit, Some(Limit::Duration), "{failure:?}");
    assert_eq!((outcome.stopped_by, outcome.stdout.as_str()), (StoppedBy::Abort, "kept"));
    let waiting = outcome.calls.iter().filter(|call| call.status == Status::NotStarted).count();
    assert_eq!(waiting, 4);
}

#[tokio::test]
async fn a_lock_that_cannot_be_set_is_named() {
    // A worker ends with this code where the kernel refuses the filter.
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("worker");
    fs::write(&path, "#!/bin/sh\nexit 76\n").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("may be run");
    for copies in [true, false] {
        let pool =
            Pool::new(Options { ready: 0, binary: Some(path.clone()), copies, ..options() }).expect("a pool");
        let error = pool.check().await.expect_err("no worker").to_string();
        assert!(error.contains("seccomp"), "{copies}: {error}");
    }
}

#[tokio::test]
async fn gathered_calls_run_at_one_time() {
    let begun = Instant::now();
    let gather = "import asyncio\nlen(await asyncio.gather(*[slow(0.3) for _ in range(10)]))";
    assert_eq!(run_with(gather, Limits::default()).await.end.expect("a value").text, "10");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_its_worker() {
    let pool = Arc::new(pool());
    while pool.ready() == 0 {
        tokio::task::yield_now().await;
    }
    let id = pool.process_ids()[0];
    let spinning = program("while True:\n    pass", Limits::default());
    timeout(Duration::from_millis(100), pool.run(&spinning, &Tools)).await.expect_err("it spins");
    let dropped = Instant::now();
    while is_alive(id) {
        assert!(dropped.elapsed() < Duration::from_secs(5), "the worker lives on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_in_mid_run_is_a_coded_failure() {
    struct Told(Notify);
    impl Calls for Told {
        fn call(&self, call: NestedCall) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
            self.0.notify_one();
            Tools.call(call)
        }
    }
    let pool = pool();
    while pool.ready() == 0 {
        tokio::task::yield_now().await;
    }
    let id = pool.process_ids()[0];
    let source = "print('before')\nawait echo('x')\nwhile True:\n    pass";
    let (spinning, called) = (program(source, Limits::default()), Told(Notify::new()));
    let killed = async {
        called.0.notified().await;
        kill(id);
    };
    let (outcome, ()) = tokio::join!(pool.run(&spinning, &called), killed);
    assert_eq!(outcome.end.expect_err("a failure").code, Code::SandboxCrashed);
    assert_eq!(outcome.calls.len(), 1, "the call that took effect is told");
    assert_eq!(outcome.stdout, "before\n", "and so is what was printed");
}

#[tokio::test]
async fn a_template_that_is_killed_is_replaced() {
    // A number that tells its processes from those of other tests.
    let memory = 123_456_789;
    let pool = Pool::new(Options { ready: 0, memory, ..options() }).expect("a pool");
    pool.check().await.expect("a worker can be started");
    let templates = told(&memory.to_string());
    assert!(!templates.is_empty());
    templates.into_iter().for_each(kill);
    let outcome = pool.run(&program("1 + 1", Limits::default()), &Tools).await;
    assert_eq!(outcome.end.expect("another template").text, "2");
}

#[tokio::test]
async fn a_pool_without_copies_does_the_same() {
    let pool = Pool::new(Options { copies: false, ..options() }).expect("a pool");
    let outcome = pool.run(&program("print('x')\nawait echo('y')", Limits::default()), &Tools).await;
    assert_eq!(
        (outcome.end.expect("a value").text.as_str(), outcome.stdout.as_str()),
        ("{'message': 'y'}", "x\n")
    );
}

#[tokio::test]
async fn workers_that_died_while_they_stood_ready_are_replaced() {
    let pool = Pool::new(Options { ready: 3, ..options() }).expect("a pool");
    while pool.ready() < 3 {
        tokio::task::yield_now().await;
    }
    let ids = pool.process_ids();
    for &id in &ids {
        kill(id);
    }
    while ids.iter().any(|&id| is_alive(id)) {
        tokio::task::yield_now().await;
    }
    let outcome = pool.run(&program("1 + 1", Limits::default()), &Tools).await;
    assert_eq!(outcome.end.expect("another worker takes it").text, "2");
}

#[tokio::test]
async fn a_worker_may_take_several_programs_that_share_nothing() {
    let pool = Pool::new(Options { runs_per_worker: 3, ..options() }).expect("a pool");
    let first = pool.run(&program("kept = 41\nkept", Limits::default()), &Tools).await;
    assert_eq!(first.end.expect("a value").text, "41");
    let second = pool.run(&program("kept", Limits::default()), &Tools).await;
    assert_eq!(second.end.expect_err("a failure").message, "NameError: name 'kept' is not defined");
    let hungry = pool.run(&program("x = 'x' * 20000000\nlen(x)", limits()), &Tools).await;
    assert_eq!(hungry.end.expect("memory is counted anew").text, "20000000");
}

#[tokio::test]
async fn a_worker_has_nothing_to_take_and_nowhere_to_go() {
    let pool = pool();
    while pool.ready() == 0 {
        tokio::task::yield_now().await;
    }
    let of = |name: &str| fs::read(format!("/proc/{}/{name}", pool.process_ids()[0])).expect("a process");
    assert!(of("environ").is_empty());
    let status = String::from_utf8(of("status")).expect("text");
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let mut descriptors: Vec<String> = fs::read_dir(format!("/proc/{}/fd", pool.process_ids()[0]))
        .expect("descriptors")
        .map(|entry| entry.expect("a descriptor").file_name().to_string_lossy().into_owned())
        .collect();
    descriptors.sort();
    assert_eq!(descriptors, ["0", "1", "2"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_is_refused_everything_but_computing() {
    let attempts = attempts();
    assert_eq!(attempts.len(), 11, "{attempts:?}");
    assert!(attempts.iter().all(|(_, is_refused)| *is_refused), "{attempts:?}");
}

/// What a worker that is locked down tried of the kernel, and whether the filter refused it.
pub(crate) fn attempts() -> Vec<(String, bool)> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_toolplane-sandbox-worker"))
        .args(["--attempts", &std::process::id().to_string()])
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let attempt = |line: &str| {
        let (what, outcome) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
        (what.to_owned(), outcome == "refused")
    };
    said.lines().map(attempt).collect()
}

fn is_alive(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// The processes that have been told this when they were started.
fn told(argument: &str) -> Vec<u32> {
    let of = |id: u32| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|&id| of(id).split('\0').any(|told| told == argument)).collect()
}

fn kill(id: u32) {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).expect("an id")).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("killed");
}
