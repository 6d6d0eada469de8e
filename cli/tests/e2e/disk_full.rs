//! A node whose disk is full: it swaps, serves, says that it could not keep a copy, and keeps one when it can again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use toolplane_testkit::TestDatabase;

use crate::checker::check;
use crate::fleet::{Fleet, Plan};
use crate::harness::until;

/// Runs what follows with a small disk of its own at a folder.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=256k,mode=700 none "$1" && shift && exec "$@""#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_full_disk_serves_on_says_so_and_recovers() {
    let Some(unshare) = unshare().await else {
        println!("skipped: neither root nor a user namespace may mount a disk here");
        return;
    };
    let database = TestDatabase::sqlite();
    let fleet = Fleet::on(&[database.url()]).nodes(2).under("node-0", move |folder| {
        std::fs::create_dir(folder).expect("a folder to mount on");
        let shell = ["/bin/sh", "-c", SMALL_DISK, "sh", folder.to_str().expect("text")];
        unshare.iter().copied().chain(shell).map(str::to_owned).collect()
    });
    let fleet = fleet.start().await;
    let mut load = fleet.load(Plan { writers: 2, ..Plan::default() });
    load.more(10).await;

    // Its disk is seen through the process: it is mounted nowhere else.
    let id = fleet.nodes[0].process.as_ref().expect("it runs").id();
    let folder = fleet.folder.path().join("node-0");
    let filler = PathBuf::from(format!("/proc/{id}/root{}", folder.display())).join("filler");
    fill(&filler);
    load.more(5).await;
    until("the control plane hears that there is no copy", async || !persisted(&fleet).await).await;
    let (_, table, _) = fleet.operator(&["node", "list"]).await;
    let line = table.lines().find(|line| line.starts_with("node-0")).expect("the node is listed");
    assert!(line.contains("connected") && line.contains("refuses"), "{table}");
    let before = confirmed(&fleet).await;
    load.more(5).await;
    until("it confirms later versions", async || confirmed(&fleet).await > before).await;
    assert!(!persisted(&fleet).await, "the disk is still full after v{before}");

    std::fs::remove_file(&filler).expect("space again");
    load.more(5).await;
    until("there is a copy again", async || persisted(&fleet).await).await;
    let history = load.stop().await;
    assert!(history.in_doubt.is_empty(), "a registration failed: {:#?}", history.in_doubt);
    check(&fleet, history).await;
}

/// What makes a place to mount in, as root or as a user that may pretend to be; `None` where nobody may.
async fn unshare() -> Option<Vec<&'static str>> {
    let as_root = vec!["/usr/bin/unshare", "--mount"];
    let as_user = vec!["/usr/bin/unshare", "--user", "--map-root-user", "--mount"];
    for words in [as_root, as_user] {
        let mut probe = Command::new(words[0]);
        probe.args(&words[1..]).args(["/bin/sh", "-c", "mount -t tmpfs none /mnt"]);
        if probe.status().await.is_ok_and(|status| status.success()) {
            return Some(words);
        }
    }
    None
}

/// Takes all the space there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).expect("a file on the node's disk");
    let full = loop {
        if let Err(error) = file.write_all(&[0; 512]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
}

/// The version that the first node confirmed last, as far as the control plane knows.
async fn confirmed(fleet: &Fleet) -> u64 {
    let nodes = fleet.ask(&["node", "list"]).await;
    nodes["nodes"][0]["version"].as_u64().unwrap_or_else(|| panic!("no version: {nodes}"))
}

/// Whether the first node has its newest snapshot on disk, as far as the control plane knows.
async fn persisted(fleet: &Fleet) -> bool {
    let nodes = fleet.ask(&["node", "list"]).await;
    assert_eq!(nodes["nodes"][0]["node_id"], "node-0", "{nodes}");
    nodes["nodes"][0]["persisted"] == true
}
