//! Clocks that jump by hours under a control plane and a node.
//!
//! `libfaketime` (Debian's package `faketime`) answers for the wall clock of chosen processes and reads the offset
//! from a file; the monotonic clock stays what it is, as it does when a real clock is set.

use std::path::{Path, PathBuf};

use serde_json::Value;
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::checker::check;
use crate::fleet::{Fleet, Plan};
use crate::harness::{PATIENCE, Setup, http, register, until};

const OFFSETS: [&str; 3] = ["+5h", "-5h", "+0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_by_hours_break_nothing() {
    // Says why where there is no Postgres to be had.
    let Some(database) = TestDatabase::postgres().await else { return };
    let Some(library) = library() else {
        println!("skipped: the package `faketime` is not installed");
        return;
    };
    let place = tempfile::tempdir().expect("a folder");
    let clock = Clock(place.path().join("offset"));
    clock.set("+0");
    let mut fleet = Fleet::on(&[database.url()]).control_planes(2).nodes(2);
    for member in ["control-0", "node-0"] {
        for (variable, value) in clock.variables(&library) {
            fleet = fleet.set_for(member, variable, &value);
        }
    }
    let mut fleet = fleet.set("GATEWAY_REFRESH_INTERVAL", "0.5").start().await;
    let watched = FakeUpstream::builder().tool("watched").stateless().start().await;
    let answer = register(&fleet.roster.url(1), "watched", &watched.url()).await.expect("an answer");
    assert_eq!(answer.0, 200, "{}", answer.1);
    let token = expiring_token(&fleet).await;

    let mut load = fleet.load(Plan { writers: 3, ..Plan::default() });
    for offset in OFFSETS {
        clock.set(offset);
        load.more(15).await;
        assert!(is_ahead(&fleet, offset), "the clock of the control plane did not jump to {offset}");
        refreshed(&watched, offset).await;
        assert_not_stale(&fleet).await;
        // What expires in an hour is expired for a clock five hours ahead, and only for that.
        assert_eq!(is_accepted(&fleet, &token).await, offset != "+5h", "{offset}");
    }

    // Claims, leases and times of listings from a clock that ran ahead hold nobody up when it is dead.
    clock.set("+5h");
    load.more(10).await;
    refreshed(&watched, "ahead").await;
    fleet.crash_control_plane(0).await;
    refreshed(&watched, "without the one that was ahead").await;
    load.more(10).await;
    clock.set("+0");
    fleet.start_control_plane(0).await;
    let mut history = load.stop().await;

    // How long a node has been alone is not a matter of the clock either.
    fleet.crash_control_plane(0).await;
    fleet.crash_control_plane(1).await;
    let url = fleet.roster.url(0);
    let stale =
        async || http(&url, "GET", "/readyz", None).await.expect("an answer").1["stale_seconds"].as_u64();
    until("the node is stale", async || stale().await.is_some()).await;
    clock.set("+5h");
    assert!(stale().await.is_some_and(|seconds| seconds < 3600), "{:?}", stale().await);
    clock.set("+0");
    fleet.start_control_plane(0).await;
    fleet.start_control_plane(1).await;
    history.assume("watched");
    check(&fleet, history).await;
}

/// The file that says by how much the clock is wrong.
struct Clock(PathBuf);

impl Clock {
    fn set(&self, offset: &str) {
        // Nobody reads half an offset.
        let next = self.0.with_extension("next");
        std::fs::write(&next, offset).expect("the offset");
        std::fs::rename(next, &self.0).expect("the offset");
    }

    fn variables(&self, library: &Path) -> [(&'static str, String); 5] {
        let yes = || "1".to_owned();
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", yes()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", yes()),
            // The file system has a clock of its own.
            ("NO_FAKE_STAT", yes()),
        ]
    }
}

/// The library for programs with threads, wherever this architecture has it.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists())
}

/// Waits until an upstream was listed twice more: once may have been under way.
async fn refreshed(upstream: &FakeUpstream, when: &str) {
    let seen = upstream.count("tools/list");
    let more = tokio::time::timeout(PATIENCE, upstream.wait_for("tools/list", seen + 2)).await;
    assert!(more.is_ok(), "upstreams are not refreshed any more: {when}");
}

/// Whether the log of the control plane whose clock jumps is as far from the other's as it should be.
fn is_ahead(fleet: &Fleet, offset: &str) -> bool {
    let hour = |member: usize| {
        let log = fleet.control_planes[member].lives().pop().expect("it runs");
        let stamp = log.last().expect("it said something")["timestamp"].as_str().expect("a time").to_owned();
        seconds(&stamp)
    };
    let expected = match offset {
        "+5h" => 5 * 3600,
        "-5h" => -5 * 3600,
        _ => 0,
    };
    (hour(0) - hour(1) - expected).abs() < 600
}

/// Seconds within two days, of which one follows the other: enough to tell hours apart.
fn seconds(stamp: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| stamp[range].parse::<i64>().expect("a time");
    ((number(8..10) * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
}

async fn assert_not_stale(fleet: &Fleet) {
    for index in 0..fleet.nodes.len() {
        let (code, body) = http(&fleet.roster.url(index), "GET", "/readyz", None).await.expect("an answer");
        assert_eq!((code, &body["stale"]), (200, &Value::Null), "{body}");
    }
}

/// A token of the admin API that is good for an hour.
async fn expiring_token(fleet: &Fleet) -> String {
    let created = fleet.ask(&["token", "create", "--role", "viewer", "--expires-in", "1h"]).await;
    created["secret"].as_str().expect("a secret").to_owned()
}

/// Whether the control plane whose clock jumps takes the token.
async fn is_accepted(fleet: &Fleet, token: &str) -> bool {
    let asking = Setup::new("node", Path::new("/nonexistent"))
        .arguments(&["list"])
        .set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &fleet.roster.admin().addresses[0])
        .set("TOOLPLANE_TOKEN", token);
    let (code, _, said) = asking.output().await;
    assert!(code < 2, "{said}");
    code == 0
}
