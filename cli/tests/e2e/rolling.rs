//! An upgrade without a plan: every process is restarted, one after the other, while clients call and register.

use toolplane_testkit::TestDatabase;

use crate::checker::check;
use crate::fleet::{Fleet, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_every_process_is_restarted_one_after_the_other() {
    // Says why where there is no Postgres to be had.
    let Some(database) = TestDatabase::postgres().await else { return };
    let fleet = Fleet::on(&[database.url()]).control_planes(2).nodes(3);
    // As long as a balancer takes to notice that a node is not ready any more.
    let mut fleet = fleet.set("TOOLPLANE_DRAIN_GRACE", "2").start().await;
    let mut load = fleet.load_through_nodes(Plan { writers: 4, ..Plan::default() });
    load.more(10).await;
    for index in 0..fleet.control_planes.len() {
        fleet.stop_control_plane(index).await;
        load.more(5).await;
        fleet.start_control_plane(index).await;
        load.more(5).await;
    }
    for index in 0..fleet.nodes.len() {
        fleet.stop_node(index).await;
        fleet.start_node(index).await;
        load.more(5).await;
    }
    let history = load.stop().await;
    assert!(history.in_doubt.is_empty(), "a registration failed: {:#?}", history.in_doubt);
    check(&fleet, history).await;
}
