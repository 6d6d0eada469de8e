//! SIGKILL at random moments: what was confirmed is there, and nothing else, everywhere.

use std::time::Duration;

use toolplane_testkit::TestDatabase;

use crate::checker::check;
use crate::fleet::{Fleet, Plan};

const CHANGES: usize = 500;
/// The control plane is killed so often meanwhile.
const CRASHES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_killed_at_random_loses_nothing_confirmed_on_sqlite() {
    crashes_at_random(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_killed_at_random_loses_nothing_confirmed_on_postgres() {
    // Says why where there is no Postgres to be had.
    if let Some(database) = TestDatabase::postgres().await {
        crashes_at_random(database).await;
    }
}

async fn crashes_at_random(database: TestDatabase) {
    let mut fleet = Fleet::on(&[database.url()]).nodes(2).start().await;
    let mut chance = fleet.seed.fork(0);
    let mut load = fleet.load(Plan { changes: CHANGES, ..Plan::default() });
    for crash in 1..=CRASHES {
        load.confirmed(crash * CHANGES / (CRASHES + 2)).await;
        tokio::time::sleep(chance.pause(Duration::from_millis(40))).await;
        fleet.crash_control_plane(0).await;
        fleet.start_control_plane(0).await;
    }
    let history = load.done().await;
    assert!(history.confirmed >= CHANGES / 2, "only {} were confirmed", history.confirmed);
    check(&fleet, history).await;
}
