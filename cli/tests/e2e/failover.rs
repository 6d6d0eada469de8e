//! Two control planes on one database: one is killed for good, and everybody goes on with the other.

use toolplane_testkit::TestDatabase;

use crate::checker::check;
use crate::fleet::{Fleet, Plan};

const CHANGES: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_nodes_go_on_when_one_of_two_control_planes_is_killed_for_good() {
    for victim in [0, 1] {
        // Says why where there is no Postgres to be had.
        let Some(database) = TestDatabase::postgres().await else { return };
        let mut fleet = Fleet::on(&[database.url()]).control_planes(2).nodes(2).start().await;
        let mut load = fleet.load(Plan { changes: CHANGES, writers: 4 });
        load.confirmed(CHANGES / 4).await;
        fleet.crash_control_plane(victim).await;
        let by_then = load.count();
        let history = load.done().await;
        assert!(history.confirmed > by_then + CHANGES / 4, "few went on: {:#?}", history.in_doubt);
        check(&fleet, history).await;
    }
}
