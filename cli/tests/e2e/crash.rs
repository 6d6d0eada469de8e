//! SIGKILL in the middle of a hundred registrations: what was confirmed is there, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Session, Split, register, registered, until};

const REGISTRATIONS: usize = 100;
/// The crash comes when so many are confirmed.
const CRASH_AFTER: usize = 40;

#[tokio::test]
async fn a_crash_loses_nothing_confirmed_on_sqlite() {
    crash_in_the_middle(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn a_crash_loses_nothing_confirmed_on_postgres() {
    // Says why where there is no Postgres to be had.
    if let Some(database) = TestDatabase::postgres().await {
        crash_in_the_middle(database).await;
    }
}

async fn crash_in_the_middle(database: TestDatabase) {
    let split = Split::new(database.url());
    let control_plane = split.control_plane().await;
    let (_node, url) = split.node("a").await;
    let upstream = FakeUpstream::builder().tool("search").start().await;

    // One after the other, so that at most one is in flight when the crash comes.
    let time_to_crash = Arc::new(Notify::new());
    let registering = async {
        let (mut confirmed, mut in_flight) = (BTreeSet::new(), None);
        for number in 0..REGISTRATIONS {
            let domain = format!("domain-{number:03}");
            match register(&url, &domain, &upstream.url()).await {
                Some((200, _)) => drop(confirmed.insert(domain)),
                Some((503, _)) | None => {
                    // Once refused it stays refused: the control plane is gone.
                    in_flight.get_or_insert(domain);
                }
                Some(other) => panic!("{other:?}"),
            }
            if confirmed.len() == CRASH_AFTER {
                time_to_crash.notify_one();
            }
            if in_flight.is_some() {
                break;
            }
        }
        (confirmed, in_flight)
    };
    let crashing = async {
        time_to_crash.notified().await;
        control_plane.crash().await;
    };
    let ((confirmed, in_flight), ()) = tokio::join!(registering, crashing);
    assert!((CRASH_AFTER..REGISTRATIONS).contains(&confirmed.len()), "{} were confirmed", confirmed.len());

    let _control_plane = split.control_plane().await;
    until("the node follows again", async || {
        let answer = crate::harness::http(&url, "GET", "/registry/servers", None).await;
        answer.is_some_and(|(code, _)| code == 200)
    })
    .await;
    let mut found: BTreeSet<String> = registered(&url).await.into_iter().collect();
    // Nobody was told about the one in flight: it may be there or not, as a whole.
    if let Some(uncertain) = in_flight.filter(|domain| !confirmed.contains(domain)) {
        found.remove(&uncertain);
    }
    assert_eq!(found, confirmed);
    let session = Session::open(&url).await;
    until("the node serves them all", async || {
        let served: BTreeSet<String> = session.domains().await.into_iter().collect();
        confirmed.is_subset(&served)
    })
    .await;
}
