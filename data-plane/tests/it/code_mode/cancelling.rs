//! A caller who goes away in mid-run: by events, never by the clock.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use toolplane_data_plane::Options;
use toolplane_data_plane::code_mode::Settings;
use toolplane_sandbox::Limits;
use toolplane_testkit::fake_upstream::Fault;

use super::watched::{Log, Metrics};
use super::{message, settings};
use crate::harness::{Node, PATIENCE, World};

/// A limit that no other node of these tests has: it tells the workers of this one, whose arguments show it.
const MEMORY: usize = 123_456_789;

/// The only worker of the node, by a descriptor that stays its own whatever becomes of its number.
fn worker() -> OwnedFd {
    let own = std::process::id().to_string();
    let is_ours = |arguments: &[u8]| {
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        arguments.get(2..4) == Some(&[own.as_bytes(), MEMORY.to_string().as_bytes()])
    };
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let arguments = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
        // What workers are copies of has no filter of system calls.
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        (is_ours(&arguments) && status.contains("Seccomp:\t2")).then_some(process)
    });
    let found: Vec<i32> = processes.collect();
    let [process] = found[..] else { panic!("one worker: {found:?}") };
    pidfd_open(Pid::from_raw(process).unwrap(), PidfdFlags::empty()).unwrap()
}

/// Waits until the process has ended. The node buries it, maybe before anybody can look.
fn wait_for_end(process: &OwnedFd) {
    let ended = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    assert!(matches!(ended, Ok(Some(_)) | Err(Errno::CHILD)), "{ended:?}");
}

async fn caller(node: &Node, source: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let body = message(source);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json\r\ncontent-length: {}\r\n\r\n",
        node.address,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_process_and_the_calls_of_its_program() {
    let (log, metrics) = (Log::capture(), Metrics::new());
    let settings = Settings { limits: Limits { memory: MEMORY, ..Limits::default() }, ..settings() };
    let options = metrics.watch(Options { code_mode: Some(settings), ..Options::default() });
    let World { upstream, node, control_plane: _control_plane } = World::start(&["say"], options).await;
    for (runs, hangs, source) in [(1, true, "await say()"), (2, false, "await say()\nwhile True:\n    pass")]
    {
        upstream.clear();
        if hangs {
            upstream.fault_once("tools/call", Fault::Hang);
        }
        let caller = caller(&node, source).await;
        upstream.wait_for("tools/call", 1).await;
        let process = worker();
        drop(caller);
        if hangs {
            let abandoned = upstream.wait_for_abandoned(1);
            tokio::time::timeout(PATIENCE, abandoned).await.expect("the upstream sees that nobody waits");
        }
        let gone = tokio::task::spawn_blocking(move || wait_for_end(&process));
        tokio::time::timeout(PATIENCE, gone).await.expect("the process ends").unwrap();
        let records = log.of("toolplane::audit");
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record["fields"]["error.code"], "cancelled", "{record}");
        let audit = record["fields"]["audit"].as_str().unwrap();
        assert!(audit.contains(r#""tool_names_invoked":["say"]"#), "{audit}");
        let cancelled = r#"toolplane_node_code_mode_runs_total{toolplane_code="cancelled"}"#;
        assert_eq!(metrics.read(cancelled), runs);
    }
}
