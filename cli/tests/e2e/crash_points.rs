//! A crash at every named point between commit, notify, send, swap, persist, ACK and answer.
//!
//! The points are `fail::fail_point!`s of the planes, which the binary has when it is built for tests alone;
//! `TOOLPLANE_CRASH_AT` arms one. The list here is the list: the first test compares it with the code, the others
//! fail where a point is not reached.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use toolplane_testkit::TestDatabase;

use crate::checker::check;
use crate::fleet::roster::Standing;
use crate::fleet::{Fleet, Plan};

/// Points of a control plane, in the order of a change.
const CONTROL_PLANE: [&str; 8] = [
    "control-plane.commit.before",
    "control-plane.commit.after",
    "control-plane.notify.after",
    "control-plane.publish.after",
    "control-plane.send.before",
    "control-plane.send.after",
    "control-plane.ack.received",
    "control-plane.answer.before",
];
/// Points of a node, in the order of an update.
const NODE: [&str; 9] = [
    "node.swap.before",
    "node.swap.after",
    "node.persist.before",
    "node.persist.half-written",
    "node.persist.written",
    "node.persist.renamed",
    "node.ack.before",
    "node.ack.after",
    "node.answer.before",
];
/// Not always the first time: what a restarted process does first is not what it does later.
const LATEST_HIT: usize = 4;
const SIGABRT: i32 = 6;

#[test]
fn every_crash_point_of_the_code_is_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = BTreeSet::new();
    for plane in ["control-plane/src", "data-plane/src"] {
        for file in rust_files(&root.join(plane)) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let names = text.split("fail_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
    let listed: BTreeSet<String> = CONTROL_PLANE.iter().chain(&NODE).map(|&name| name.to_owned()).collect();
    assert_eq!(found, listed);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let sources = files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    sources.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_named_point_loses_nothing_confirmed_on_sqlite() {
    crash_everywhere(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_named_point_loses_nothing_confirmed_on_postgres() {
    // Says why where there is no Postgres to be had.
    if let Some(database) = TestDatabase::postgres().await {
        crash_everywhere(database).await;
    }
}

async fn crash_everywhere(database: TestDatabase) {
    let mut fleet = Fleet::on(&[database.url()]).nodes(2).start().await;
    let mut chance = fleet.seed.fork(0);
    let load = fleet.load(Plan { writers: 4, ..Plan::default() });
    fleet.crash_control_plane(0).await;
    for point in CONTROL_PLANE {
        let at = format!("{point}:{}", 1 + chance.below(LATEST_HIT));
        fleet.arm_control_plane(0, Some(&at)).await;
        assert_crashed(&at, fleet.control_planes[0].ended().await);
    }
    fleet.arm_control_plane(0, None).await;
    fleet.crash_node(1).await;
    for point in NODE {
        let at = format!("{point}:{}", 1 + chance.below(LATEST_HIT));
        fleet.arm_node(1, Some(&at)).await;
        assert_crashed(&at, fleet.nodes[1].ended().await);
        fleet.roster.set(1, Standing::Killed);
    }
    fleet.arm_node(1, None).await;
    let history = load.stop().await;
    assert!(history.confirmed > 0, "{:#?}", history.in_doubt);
    check(&fleet, history).await;
}

fn assert_crashed(at: &str, status: std::process::ExitStatus) {
    assert_eq!(status.signal(), Some(SIGABRT), "{at}: {status}");
}
