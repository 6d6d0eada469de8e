//! Postgres that restarts, vanishes for a while, and loses connections, under load.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::task::block_in_place;
use toolplane_testkit::fault_proxy::Faults;
use toolplane_testkit::{FaultProxy, PrivatePostgres, TestDatabase};

use crate::checker::check;
use crate::fleet::{Fleet, Plan, served};
use crate::harness::{Setup, register, until};
use crate::network::{eventually, is_stale};

/// How long the database is away, in two halves that differ.
const AWAY: Duration = Duration::from_secs(30);

/// A cluster that a test may stop, and a database on it.
async fn private() -> Option<(PrivatePostgres, TestDatabase)> {
    let cluster = block_in_place(PrivatePostgres::create)?;
    let database = TestDatabase::on_server(&cluster.url()).await.expect("a database");
    Some((cluster, database))
}

async fn all_follow(fleet: &Fleet) {
    for index in 0..fleet.nodes.len() {
        let url = fleet.roster.url(index);
        eventually("the node follows", async || is_stale(&url).await == Some(false)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_restarts_loses_nothing() {
    let Some((cluster, database)) = private().await else { return };
    let fleet = Fleet::on(&[database.url()]).control_planes(2).start().await;
    let mut load = fleet.load(Plan::default());
    load.more(25).await;
    block_in_place(|| cluster.stop_fast());
    block_in_place(|| cluster.start());
    load.more(25).await;
    block_in_place(|| cluster.stop_immediately());
    block_in_place(|| cluster.start());
    load.more(25).await;
    all_follow(&fleet).await;
    check(&fleet, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_for_half_a_minute_is_found_again() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let (proxy, url) = FaultProxy::in_front_of(database.url()).await;
    let mut fleet = Fleet::on(&[&url])
        .set("TOOLPLANE_CONTROL_PLANE_DATABASE_TIMEOUT", "5")
        .set("TOOLPLANE_CONTROL_PLANE_DATABASE_GRACE", "5")
        .start()
        .await;
    let mut load = fleet.load(Plan::default());
    load.more(25).await;
    // It answers nobody, and does not say so.
    proxy.set(Faults { refuse: false, ..Faults::stalled() });
    let begin = tokio::time::Instant::now();
    for index in 0..fleet.nodes.len() {
        let url = fleet.roster.url(index);
        eventually("the node knows that it hears nothing", async || is_stale(&url).await == Some(true)).await;
        served(&url).await.expect("it serves all the same");
    }
    let (code, body) = register(&fleet.roster.url(0), "meanwhile", &fleet.upstream.url())
        .await
        .expect("an answer, and no endless wait");
    assert_eq!((code, body["code"].as_str()), (503, Some("control_plane_unavailable")), "{body}");
    tokio::time::sleep_until(begin + AWAY / 2).await;
    // And now it is plainly not there.
    proxy.set(Faults::refusing());
    proxy.reset();
    tokio::time::sleep_until(begin + AWAY).await;
    proxy.set(Faults::default());
    all_follow(&fleet).await;
    load.more(25).await;
    check(&fleet, load.stop().await).await;
    let control_plane = fleet.control_planes[0].process.as_mut().expect("it was never restarted");
    control_plane.record("the database could not be read").await;
    control_plane.record("the database answers again: nodes may follow").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_severed_in_the_middle_lose_nothing() {
    const CHANGES: usize = 150;
    let Some(database) = TestDatabase::postgres().await else { return };
    let (proxy, url) = FaultProxy::in_front_of(database.url()).await;
    let fleet = Fleet::on(&[&url, database.url()]).control_planes(2).start().await;
    let mut seed = fleet.seed.fork(2);
    let load = fleet.load(Plan::default());
    let options: sqlx::postgres::PgConnectOptions = database.url().parse().expect("a url");
    let mut connection = options.connect().await.expect("a connection");
    while load.count() < CHANGES {
        tokio::time::sleep(seed.pause(Duration::from_millis(800))).await;
        match seed.below(3) {
            0 => proxy.reset(),
            1 => terminate(&mut connection, "true").await,
            // Those that are in the middle of something.
            _ => terminate(&mut connection, "state <> 'idle'").await,
        }
    }
    connection.close().await.expect("an orderly end");
    all_follow(&fleet).await;
    check(&fleet, load.stop().await).await;
}

/// Ends the sessions of others.
async fn terminate(connection: &mut PgConnection, which: &'static str) {
    let statement = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.expect("it is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_leave_a_control_plane_that_is_cut_off_from_the_database() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let (proxy, cut_off) = FaultProxy::in_front_of(database.url()).await;
    let mut fleet = Fleet::on(&[database.url(), &cut_off])
        .control_planes(2)
        .set("TOOLPLANE_CONTROL_PLANE_DATABASE_TIMEOUT", "3")
        .set("TOOLPLANE_CONTROL_PLANE_DATABASE_GRACE", "3")
        .route(|index, control_planes| {
            let mut own = control_planes.to_vec();
            own.rotate_left(index);
            own
        })
        .start()
        .await;
    let mut load = fleet.load(Plan::default());
    for (round, faults) in [Faults::stalled(), Faults::refusing()].into_iter().enumerate() {
        load.more(10).await;
        proxy.set(faults);
        if faults.refuse {
            proxy.reset();
        }
        let refusal = ask_alone(&fleet, 1).await;
        assert_eq!(refusal.0, 3, "{}", refusal.1);
        assert!(refusal.1.contains("database"), "{}", refusal.1);
        // News reaches both nodes by the other control plane.
        let domain = format!("news_{round}");
        until("a change is taken", async || {
            let added = ["upstream", "add", &domain, &fleet.upstream.url()];
            Setup::new("upstream", std::path::Path::new("/nonexistent"))
                .arguments(&added[1..])
                .set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &fleet.roster.admin().addresses[0])
                .set("TOOLPLANE_TOKEN", &fleet.roster.admin().token)
                .output()
                .await
                .0
                == 0
        })
        .await;
        for index in 0..2 {
            let url = fleet.roster.url(index);
            eventually("the node hears of it", async || {
                served(&url).await.expect("it serves").contains_key(&domain)
            })
            .await;
        }
        proxy.set(Faults::default());
        let control_plane = fleet.control_planes[1].process.as_mut().expect("it runs");
        control_plane.record("the database could not be read").await;
        eventually("it is back", async || ask_alone(&fleet, 1).await.0 == 0).await;
    }
    let mut history = load.stop().await;
    for round in 0..2 {
        history.domains.insert(format!("news_{round}"), [Some(String::new())].into());
    }
    check(&fleet, history).await;
}

/// Asks one control plane and no other: the exit code, and what was said.
async fn ask_alone(fleet: &Fleet, index: usize) -> (i32, String) {
    let admin = fleet.roster.admin();
    let (code, _, said) = Setup::new("upstream", std::path::Path::new("/nonexistent"))
        .arguments(&["list"])
        .set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &admin.addresses[index])
        .set("TOOLPLANE_TOKEN", &admin.token)
        .output()
        .await;
    (code, said)
}
