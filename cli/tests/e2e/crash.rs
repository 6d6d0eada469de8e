//! SIGKILL in the middle of a hundred registrations: what was confirmed is there, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{PATIENCE, Session, Split, operator, register, registered, until};

const REGISTRATIONS: usize = 100;
/// So many at a time, which is what a crash can leave undecided.
const IN_FLIGHT: usize = 16;
/// The crash comes when so many are confirmed.
const CRASH_AFTER: usize = 50;

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

    let mut registering = Registering::start(&url, &upstream.url());
    registering.confirmed(CRASH_AFTER).await;
    control_plane.crash().await;
    let Outcome { sent, confirmed } = registering.end().await;
    assert!((CRASH_AFTER..REGISTRATIONS).contains(&confirmed.len()), "{} were confirmed", confirmed.len());
    assert!(sent.len() > confirmed.len(), "something was in flight");

    let _control_plane = split.control_plane().await;
    until("the node follows again", async || {
        let answer = crate::harness::http(&url, "GET", "/registry/servers", None).await;
        answer.is_some_and(|(code, _)| code == 200)
    })
    .await;
    let found: BTreeSet<String> = registered(&url).await.into_iter().collect();
    // Nobody was told about those in flight: each may be there or not.
    assert!(confirmed.is_subset(&found), "lost: {:?}", confirmed.difference(&found));
    assert!(found.is_subset(&sent), "from nowhere: {:?}", found.difference(&sent));
    assert_whole(&split, &found, &upstream.url()).await;
    let session = Session::open(&url).await;
    until("the node serves them all", async || {
        let served: BTreeSet<String> = session.domains().await.into_iter().collect();
        served == found
    })
    .await;
}

/// Whatever is stored has its address and its tools: there are no halves.
async fn assert_whole(split: &Split, found: &BTreeSet<String>, upstream: &str) {
    let list = ["upstream", "list", "--output", "json"];
    let (code, stdout, said) = operator(&split.folder.path().join("control"), &list).await;
    assert_eq!(code, 0, "{said}");
    let stored: Vec<Value> = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(stored.len(), found.len());
    for one in &stored {
        assert!(one["domain"].as_str().is_some_and(|domain| found.contains(domain)), "{one}");
        assert_eq!((&one["url"], &one["listing"]["tools_admitted"]), (&json!(upstream), &json!(1)), "{one}");
        assert!(one["listing"]["success_time"].is_string(), "{one}");
    }
}

/// Registrations under way, a number of them at a time.
struct Registering {
    workers: JoinSet<Outcome>,
    confirmations: mpsc::Receiver<()>,
}

/// What was asked for, and what was said to be done.
#[derive(Default)]
struct Outcome {
    sent: BTreeSet<String>,
    confirmed: BTreeSet<String>,
}

impl Registering {
    fn start(url: &str, upstream: &str) -> Self {
        let (done, confirmations) = mpsc::channel(REGISTRATIONS);
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (url, upstream) = (url.to_owned(), upstream.to_owned());
            workers.spawn(work(url, upstream, Arc::clone(&next), done.clone()));
        }
        Self { workers, confirmations }
    }

    /// Waits until so many are confirmed.
    async fn confirmed(&mut self, number: usize) {
        for _ in 0..number {
            let one = tokio::time::timeout(PATIENCE, self.confirmations.recv()).await;
            one.expect("in time").expect("somebody still registers");
        }
    }

    async fn end(self) -> Outcome {
        let mut all = Outcome::default();
        for Outcome { sent, confirmed } in self.workers.join_all().await {
            all.sent.extend(sent);
            all.confirmed.extend(confirmed);
        }
        all
    }
}

/// Registers one after the other until the first that is not confirmed: the control plane is gone then.
async fn work(url: String, upstream: String, next: Arc<AtomicUsize>, done: mpsc::Sender<()>) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= REGISTRATIONS {
            return outcome;
        }
        let domain = format!("domain-{number:03}");
        outcome.sent.insert(domain.clone());
        match register(&url, &domain, &upstream).await {
            Some((200, _)) => {
                outcome.confirmed.insert(domain);
                done.send(()).await.expect("the test counts them");
            }
            Some((503 | 504, _)) | None => return outcome,
            Some(other) => panic!("{other:?}"),
        }
    }
}
