//! Versions as history, rollback and waiting, through the admin API and the sync stream.

use tonic::{Code, Streaming};
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::admin::{self, DomainChange, WaitForVersionResponse};
use toolplane_proto::sync;
use toolplane_testkit::fake_upstream::FakeUpstream;

use crate::harness::{Client, Plane, creation};
use crate::stream::Follower;

fn client(plane: &Plane) -> SnapshotServiceClient<Client> {
    SnapshotServiceClient::new(plane.as_admin())
}

async fn list(plane: &Plane) -> Vec<admin::Snapshot> {
    let request = admin::ListSnapshotsRequest::default();
    client(plane).list_snapshots(request).await.unwrap().into_inner().snapshots
}

async fn tools(plane: &Plane, version: u64) -> Vec<String> {
    let request = admin::GetSnapshotRequest { version };
    let content = client(plane).get_snapshot(request).await.unwrap().into_inner();
    content
        .domains
        .into_iter()
        .map(|domain| format!("{}:{}", domain.domain, domain.tools.join(",")))
        .collect()
}

async fn refresh(plane: &Plane, domain: &str) -> admin::RefreshUpstreamsResponse {
    let request = admin::RefreshUpstreamsRequest { domains: vec![domain.to_owned()] };
    plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner()
}

fn number(version: Option<&sync::Version>) -> u64 {
    version.unwrap().number
}

async fn wait(plane: &Plane, share: f64, seconds: i64) -> Streaming<WaitForVersionResponse> {
    let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
    let request = admin::WaitForVersionRequest { version: 0, share, timeout };
    client(plane).wait_for_version(request).await.unwrap().into_inner()
}

async fn next(answers: &mut Streaming<WaitForVersionResponse>) -> WaitForVersionResponse {
    answers.message().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_rollback_holds_old_tools_against_refreshes_until_the_upstream_is_resumed() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").tool("fetch").start().await;
    let mut creation = creation("apollo", &upstream.url());
    creation.upstream.as_mut().unwrap().headers.insert("x-api-key".to_owned(), "s3cr3t".to_owned());
    let created = plane.upstreams().create_upstream(creation).await.unwrap().into_inner();
    let good = number(created.version.as_ref());
    upstream.rename_tools(&["search", "drop_everything"]);
    let refreshed = refresh(&plane, "apollo").await;
    let bad = number(refreshed.version.as_ref());
    let late = plane.create("late", &upstream.url()).await;
    assert_eq!(tools(&plane, 0).await, ["apollo:drop_everything,search", "late:drop_everything,search"]);

    let diff = admin::DiffSnapshotsRequest { from: good, to: 0 };
    let diff = client(&plane).diff_snapshots(diff).await.unwrap().into_inner();
    assert_eq!((diff.to, diff.policy_changed), (number(late.version.as_ref()), false));
    let told: Vec<_> = diff.domains.iter().map(|one| (one.domain.as_str(), one.change())).collect();
    assert_eq!(told, [("apollo", DomainChange::Tools), ("late", DomainChange::Added)]);
    assert_eq!(
        (&diff.domains[0].added[..], &diff.domains[0].removed[..]),
        (&["drop_everything".to_owned()][..], &["fetch".to_owned()][..])
    );

    let request = admin::RollbackSnapshotRequest { version: good };
    let done = client(&plane).rollback_snapshot(request).await.unwrap().into_inner();
    assert!(number(done.version.as_ref()) > bad, "a rollback is a new version");
    assert_eq!((done.frozen, done.missing), (vec!["apollo".to_owned(), "late".to_owned()], vec![]));
    assert_eq!(tools(&plane, 0).await, ["apollo:fetch,search", "late:"]);

    let held = refresh(&plane, "apollo").await;
    assert!(held.refreshed[0].error.contains("frozen"), "{held:?}");
    assert_eq!(held.refreshed[0].frozen_at_version, good);
    let shown = plane.get("apollo").await.unwrap();
    assert_eq!((shown.frozen_at_version, &shown.header_names[..]), (good, &["x-api-key".to_owned()][..]));
    assert_eq!(tools(&plane, 0).await, ["apollo:fetch,search", "late:"]);

    let resume = admin::ResumeUpstreamRequest { domain: "apollo".to_owned() };
    let resumed = plane.upstreams().resume_upstream(resume).await.unwrap().into_inner();
    assert_eq!(resumed.refreshed.unwrap().added, ["drop_everything"]);
    assert_eq!(resumed.upstream.unwrap().frozen_at_version, 0);
    assert_eq!(tools(&plane, 0).await, ["apollo:drop_everything,search", "late:"]);
    assert_eq!(upstream.requests().last().unwrap().header("x-api-key"), Some("s3cr3t"));
}

#[tokio::test]
async fn a_frozen_upstream_can_be_moved_and_keeps_its_tools() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("old").start().await;
    let good = number(plane.create("apollo", &upstream.url()).await.version.as_ref());
    upstream.rename_tools(&["new"]);
    refresh(&plane, "apollo").await;
    client(&plane).rollback_snapshot(admin::RollbackSnapshotRequest { version: good }).await.unwrap();
    let elsewhere = FakeUpstream::builder().tool("new").start().await;
    let update = admin::UpdateUpstreamRequest {
        upstream: Some(admin::Upstream {
            domain: "apollo".into(),
            url: elsewhere.url(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["url".into()] }),
        ..Default::default()
    };
    let updated = plane.upstreams().update_upstream(update).await.unwrap().into_inner().upstream.unwrap();
    assert_eq!((updated.url, updated.frozen_at_version), (elsewhere.url(), good));
    assert_eq!(tools(&plane, 0).await, ["apollo:old"]);
    let accept = admin::AcceptSchemaRequest { domain: "apollo".into(), digest: "00".repeat(32) };
    let refused = plane.upstreams().accept_schema(accept).await.unwrap_err();
    assert!(refused.code() == Code::Aborted && refused.message().contains("frozen"), "{refused}");
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_only_as_many_as_are_kept() {
    let plane = Plane::start_with(|options| options.history_keep = 3).await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    for domain in ["a", "b", "c", "d", "e"] {
        plane.create(domain, &upstream.url()).await;
    }
    // What was published is noted right behind the publication, which is what the creation waited for.
    let mut node = Follower::open(&plane, "n1").await;
    let update = node.next().await;
    let newest = number(update.version.as_ref());
    let listed = loop {
        let listed = list(&plane).await;
        if listed.len() == 3 && !listed[0].digest.is_empty() {
            break listed;
        }
        tokio::task::yield_now().await;
    };
    let numbers: Vec<u64> = listed.iter().map(|one| number(one.version.as_ref())).collect();
    assert_eq!(numbers, [newest, newest - 1, newest - 2]);
    let hex = toolplane_registry::Digest::from_bytes(&update.digest).unwrap().to_string();
    assert_eq!((listed[0].digest.as_str(), listed[0].domain_count), (hex.as_str(), 5));
    assert_eq!((listed[0].summary.as_str(), listed[0].restorable), ("upstream.create: upstream e", true));
    let page = admin::ListSnapshotsRequest { page_size: 2, page_token: String::new() };
    let page = client(&plane).list_snapshots(page).await.unwrap().into_inner();
    assert_eq!((page.snapshots.len(), page.next_page_token), (2, (newest - 1).to_string()));
    let request = admin::RollbackSnapshotRequest { version: 1 };
    let refused = client(&plane).rollback_snapshot(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn waiting_ends_when_the_nodes_confirm_and_a_share_may_do() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let (mut one, mut two) = (Follower::open(&plane, "n1").await, Follower::open(&plane, "n2").await);
    for node in [&mut one, &mut two] {
        let update = node.next().await;
        node.ack(&update).await;
    }
    plane.create("apollo", &upstream.url()).await;
    let (first, second) = (one.next().await, two.next().await);
    let (mut all, mut half) = (wait(&plane, 0.0, 60).await, wait(&plane, 0.5, 60).await);
    for answers in [&mut all, &mut half] {
        let answer = next(answers).await;
        assert_eq!((answer.connected, answer.serving, answer.done), (2, 0, false));
    }
    one.ack(&first).await;
    let reached = next(&mut half).await;
    assert_eq!((reached.reached, reached.done, reached.required), (true, true, 1));
    assert_eq!(half.message().await.unwrap(), None);
    let pending = next(&mut all).await;
    assert_eq!((pending.serving, pending.behind[0].node_id.as_str(), pending.done), (1, "n2", false));
    two.ack(&second).await;
    let reached = next(&mut all).await;
    assert_eq!((reached.reached, reached.done, reached.serving), (true, true, 2));
    assert!(next(&mut wait(&plane, 1.0, 0).await).await.reached, "what is reached takes no time");
}

#[tokio::test]
async fn a_refused_version_names_who_refused_it_and_ends_the_wait() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let mut node = Follower::open(&plane, "n1").await;
    let held = node.next().await;
    node.ack(&held).await;
    plane.create("apollo", &upstream.url()).await;
    let update = node.next().await;
    let mut answers = wait(&plane, 0.0, 60).await;
    assert!(!next(&mut answers).await.done);
    let late = next(&mut wait(&plane, 0.0, 0).await).await;
    assert_eq!((late.reached, late.done), (false, true), "the time was over");
    node.nack(&update, &held, "too deep").await;
    let ended = loop {
        let answer = next(&mut answers).await;
        if answer.done {
            break answer;
        }
    };
    assert!(!ended.reached && ended.behind[0].rejections[0].reason == "too deep", "{ended:?}");
    drop(node);
    let plane = plane.restart_with(|_| {}).await;
    let listed = list(&plane).await;
    let refused = listed.iter().find(|one| one.version == update.version).unwrap();
    assert_eq!((refused.refusals.len(), refused.refusals[0].node_id.as_str()), (1, "n1"));
    assert_eq!(refused.refusals[0].rejections[0].reason, "too deep");
}

#[tokio::test]
async fn nonsense_is_refused_and_nobody_is_enough_of_nobody() {
    let plane = Plane::start().await;
    for (share, seconds) in [(1.5, 1), (-0.1, 1), (f64::NAN, 1), (1.0, -1), (1.0, 100_000)] {
        let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = admin::WaitForVersionRequest { version: 0, share, timeout };
        let refused = client(&plane).wait_for_version(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{share} {seconds}");
    }
    let answer = next(&mut wait(&plane, 1.0, 60).await).await;
    assert_eq!((answer.reached, answer.done, answer.connected), (true, true, 0));
    let request = admin::RollbackSnapshotRequest::default();
    assert_eq!(client(&plane).rollback_snapshot(request).await.unwrap_err().code(), Code::InvalidArgument);
}
