//! Several control planes on one database: one truth, shared work, and any of them may die.

use std::collections::BTreeSet;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use tonic::Code;
use toolplane_control_plane::Options;
use toolplane_control_plane::environment::Environment;
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::{admin, sync};
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Domain, Secret};
use toolplane_testkit::TestDatabase;
use toolplane_testkit::fake_upstream::{FakeUpstream, Fault};

use crate::harness::{Plane, SHARED_TOKEN};
use crate::stream::{Follower, nodes_until};

/// Longer than a test takes: what happens did not wait for a poll.
const NEVER: Duration = Duration::from_hours(1);
const LONG_ENOUGH: Duration = Duration::from_secs(30);

/// A database and a key for several control planes.
struct Ground {
    database: TestDatabase,
    folder: TempDir,
}

impl Ground {
    fn on(database: TestDatabase) -> Self {
        let folder = TempDir::new().unwrap();
        toolplane_seal::Key::load_or_create(&folder.path().join("secret.key")).unwrap();
        Self { database, folder }
    }

    async fn postgres() -> Option<Self> {
        Some(Self::on(TestDatabase::postgres().await?))
    }

    fn settle(
        &self,
        change: impl Fn(&mut Options) + Send + 'static,
    ) -> impl Fn(&mut Options) + Send + 'static {
        let (url, key) = (self.database.url().to_owned(), self.folder.path().join("secret.key"));
        move |options| {
            options.database_url = Secret::new(url.clone());
            options.secret_key_file.clone_from(&key);
            options.poll_interval = NEVER;
            change(options);
        }
    }

    async fn plane(&self, change: impl Fn(&mut Options) + Send + 'static) -> Plane {
        self.admit(Plane::start_with(self.settle(change)).await)
    }

    /// One that can be killed.
    async fn mortal(&self, change: impl Fn(&mut Options) + Send + 'static) -> Plane {
        self.admit(Plane::start_apart(self.settle(change)).await)
    }

    /// The first of them wrote the admin token; the others' operators know it too.
    fn admit(&self, plane: Plane) -> Plane {
        let (own, shared) = (plane.path("admin.token"), self.folder.path().join("admin.token"));
        if own.exists() {
            std::fs::copy(own, shared).unwrap();
        } else {
            std::fs::copy(shared, own).unwrap();
        }
        plane
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG_ENOUGH, future).await.unwrap()
}

fn number(version: Option<sync::Version>) -> u64 {
    version.unwrap().number
}

fn registration(domain: &str, url: &str) -> sync::RegisterServerRequest {
    sync::RegisterServerRequest {
        credential: format!("Bearer {SHARED_TOKEN}"),
        domain: domain.to_owned(),
        url: url.to_owned(),
        ..Default::default()
    }
}

async fn describe(plane: &Plane, domain: &str, text: &str) -> admin::Upstream {
    let upstream =
        admin::Upstream { domain: domain.to_owned(), description: text.to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["description".to_owned()] });
    let request =
        admin::UpdateUpstreamRequest { upstream: Some(upstream), update_mask, ..Default::default() };
    plane.upstreams().update_upstream(request).await.unwrap().into_inner().upstream.unwrap()
}

#[tokio::test]
async fn a_registration_through_one_reaches_the_nodes_of_the_other_without_a_poll() {
    let Some(ground) = Ground::postgres().await else { return };
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let upstream = FakeUpstream::builder().tool("t").start().await;
    let mut node = Follower::up_to_date(&b, "n1").await;
    let registered = a.registration().register_server(registration("apollo", &upstream.url())).await.unwrap();
    let update = in_time(node.next()).await;
    assert_eq!(update.version, registered.into_inner().version);
    assert_eq!(update.changed[0].domain, "apollo");
}

/// What a node of one confirms reaches whoever waits at the other through the store.
#[tokio::test]
async fn a_wait_through_one_ends_when_the_node_of_the_other_serves() {
    let Some(ground) = Ground::postgres().await else { return };
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let upstream = FakeUpstream::builder().tool("t").start().await;
    let mut node = Follower::up_to_date(&b, "n1").await;
    in_time(nodes_until(&a, |nodes| nodes.iter().any(|node| node.connected))).await;
    let made = number(a.create("apollo", &upstream.url()).await.version);
    let request = admin::WaitForVersionRequest {
        version: made,
        timeout: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    };
    let mut waits = SnapshotServiceClient::new(a.as_admin());
    let mut answers = waits.wait_for_version(request).await.unwrap().into_inner();
    let waiting = in_time(answers.message()).await.unwrap().unwrap();
    assert_eq!((waiting.done, waiting.serving, waiting.connected), (false, 0, 1));
    let update = in_time(node.next()).await;
    node.ack(&update).await;
    let reached = loop {
        let answer = in_time(answers.message()).await.unwrap().unwrap();
        if answer.done {
            break answer;
        }
    };
    assert_eq!((reached.reached, reached.serving, reached.version), (true, 1, made));
}

/// On a file, where nobody tells of commits and polls never come: only rereading can make this work.
#[tokio::test]
async fn what_one_did_can_be_built_upon_through_the_other_at_once() {
    let ground = Ground::on(TestDatabase::sqlite());
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let upstream = FakeUpstream::builder().tool("t").start().await;
    let delete = || admin::DeleteUpstreamRequest { domain: "apollo".into(), etag: String::new() };
    for _ in 0..3 {
        a.create("apollo", &upstream.url()).await;
        describe(&b, "apollo", "through b").await;
        let request = admin::RefreshUpstreamsRequest { domains: vec!["apollo".into()] };
        a.upstreams().refresh_upstreams(request).await.unwrap();
        b.registration().register_server(registration("apollo", &upstream.url())).await.unwrap();
        assert_eq!(describe(&a, "apollo", "through a").await.description, "through a");
        b.upstreams().delete_upstream(delete()).await.unwrap();
        let gone = a.upstreams().delete_upstream(delete()).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound);
    }
    b.create("apollo", &upstream.url()).await;
    let again = a.upstreams().create_upstream(crate::harness::creation("apollo", &upstream.url())).await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn fields_changed_through_both_are_both_kept() {
    let ground = Ground::on(TestDatabase::sqlite());
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let upstream = FakeUpstream::builder().tool("t").start().await;
    a.create("apollo", &upstream.url()).await;
    describe(&a, "apollo", "kept").await;
    let policy = admin::SchemaPolicy::Pin;
    let change =
        admin::Upstream { domain: "apollo".into(), schema_policy: policy.into(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["schema_policy".to_owned()] });
    let request = admin::UpdateUpstreamRequest { upstream: Some(change), update_mask, ..Default::default() };
    let changed = b.upstreams().update_upstream(request).await.unwrap().into_inner().upstream.unwrap();
    assert_eq!((changed.description.as_str(), changed.schema_policy()), ("kept", policy));
}

#[tokio::test]
async fn each_upstream_is_listed_once_per_interval_however_many_run() {
    const INTERVAL: Duration = Duration::from_millis(400);
    let Some(ground) = Ground::postgres().await else { return };
    let often = |options: &mut Options| options.refresh.interval = Some(INTERVAL);
    let planes = [ground.plane(often).await, ground.plane(often).await, ground.plane(often).await];
    let upstreams =
        [FakeUpstream::builder().tool("t").start().await, FakeUpstream::builder().tool("t").start().await];
    for (n, upstream) in upstreams.iter().enumerate() {
        planes[n].create(&format!("u{n}"), &upstream.url()).await;
        upstream.clear();
    }
    let began = Instant::now();
    for upstream in &upstreams {
        in_time(upstream.wait_for("tools/list", 6)).await;
    }
    // Between six listings lie five intervals; three that each go their own way need less than two.
    assert!(began.elapsed() > INTERVAL.mul_f64(4.9), "{:?}", began.elapsed());
}

#[tokio::test]
async fn those_that_start_together_list_what_the_environment_declares_once() {
    let Some(ground) = Ground::postgres().await else { return };
    let upstream = FakeUpstream::builder().tool("t").start().await;
    let url = upstream.url();
    let declare = move |options: &mut Options| {
        options.environment = Environment {
            upstreams: vec![Upstream::new(Domain::parse("env").unwrap(), &url)],
            ..Environment::default()
        };
        options.refresh.interval = Some(NEVER);
    };
    let starts = (0..3).map(|_| Plane::start_with(ground.settle(declare.clone())));
    let started = futures::future::join_all(starts).await;
    for (n, plane) in started.iter().enumerate() {
        let mut node = Follower::open(plane, &format!("n{n}")).await;
        in_time(node.until(|update| update.changed.iter().any(|env| !env.pending && env.tools.len() == 1)))
            .await;
    }
    assert_eq!(upstream.count("tools/list"), 1);
}

#[tokio::test]
async fn what_one_was_listing_when_it_was_killed_is_taken_over() {
    let Some(ground) = Ground::postgres().await else { return };
    let upstream = FakeUpstream::builder().tool("t").start().await;
    upstream.fault("tools/list", Fault::Hang);
    let url = upstream.url();
    let declare = move |options: &mut Options| {
        options.environment = Environment {
            upstreams: vec![Upstream::new(Domain::parse("env").unwrap(), &url)],
            ..Environment::default()
        };
        options.refresh.deadline = Duration::from_secs(1);
        options.refresh.interval = Some(Duration::from_millis(500));
    };
    let mut a = ground.mortal(declare.clone()).await;
    in_time(upstream.wait_for("tools/list", 1)).await;
    a.kill();
    upstream.clear_faults();
    let b = ground.plane(declare).await;
    let mut node = Follower::open(&b, "n1").await;
    in_time(node.until(|update| update.changed.iter().any(|env| env.tools.len() == 1))).await;
}

#[tokio::test]
async fn nodes_of_one_that_was_killed_are_shown_as_disconnected_by_the_others() {
    let Some(ground) = Ground::postgres().await else { return };
    let lively = |options: &mut Options| options.heartbeat = Duration::from_millis(300);
    let mut a = ground.mortal(lively).await;
    let b = ground.plane(lively).await;
    let _of_a = Follower::open(&a, "of-a").await;
    let _of_b = Follower::open(&b, "of-b").await;
    let connected = |nodes: &[admin::Node]| {
        nodes.iter().filter(|node| node.connected).map(|node| node.node_id.clone()).collect::<Vec<_>>()
    };
    in_time(nodes_until(&b, |nodes| connected(nodes) == ["of-a", "of-b"])).await;
    in_time(nodes_until(&a, |nodes| connected(nodes) == ["of-a", "of-b"])).await;
    a.kill();
    in_time(nodes_until(&b, |nodes| connected(nodes) == ["of-b"])).await;
    let _moved = Follower::open(&b, "of-a").await;
    in_time(nodes_until(&b, |nodes| connected(nodes) == ["of-a", "of-b"])).await;
}

#[tokio::test]
async fn a_node_that_moved_stays_connected_when_its_old_stream_ends() {
    let ground = Ground::on(TestDatabase::sqlite());
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let mut old = Follower::open(&a, "n1").await;
    old.next().await;
    let mut new = Follower::open(&b, "n1").await;
    new.next().await;
    drop(old);
    // Another node's stream comes and goes behind it, so the old one's end has been seen by then.
    drop(Follower::open(&a, "n2").await);
    let nodes =
        in_time(nodes_until(&b, |nodes| nodes.iter().any(|n| n.node_id == "n2" && !n.connected))).await;
    assert!(nodes[0].connected, "{nodes:?}");
}

#[tokio::test]
async fn what_one_confirmed_before_it_was_killed_is_kept_and_the_other_goes_on() {
    let Some(ground) = Ground::postgres().await else { return };
    let mut a = ground.mortal(|_| {}).await;
    let b = ground.plane(|_| {}).await;
    let upstream = FakeUpstream::builder().tool("t").start().await;
    let (url, mut client) = (upstream.url(), a.registration());
    let mut confirmed = Vec::new();
    let register = async {
        for n in 0.. {
            let domain = format!("a{n:02}");
            match client.register_server(registration(&domain, &url)).await {
                Ok(response) => confirmed.push((domain, number(response.into_inner().version))),
                Err(_) => break,
            }
        }
    };
    // In the middle of the tenth.
    let kill = async {
        upstream.wait_for("tools/list", 10).await;
        a.kill();
    };
    in_time(futures::future::join(register, kill)).await;
    assert!(confirmed.len() >= 9, "{confirmed:?}");
    assert!(confirmed.is_sorted_by(|(_, before), (_, after)| before < after), "{confirmed:?}");
    let after = b.registration().register_server(registration("b", &url)).await.unwrap().into_inner();
    assert!(number(after.version) > confirmed.last().unwrap().1);
    for (domain, _) in &confirmed {
        assert_eq!(b.get(domain).await.unwrap().listing.unwrap().tools_admitted, 1, "{domain}");
    }
}

#[tokio::test]
async fn concurrent_registrations_through_both_give_one_truth() {
    let Some(ground) = Ground::postgres().await else { return };
    let (a, b) = (ground.plane(|_| {}).await, ground.plane(|_| {}).await);
    let upstreams = [
        FakeUpstream::builder().tool("t").start().await,
        FakeUpstream::builder().tool("t").tool("u").start().await,
    ];
    let registrations = (0..12).map(|n| {
        // Every domain is fought for by both.
        let (plane, upstream) = if n % 2 == 0 { (&a, &upstreams[0]) } else { (&b, &upstreams[1]) };
        let mut client = plane.registration();
        async move { client.register_server(registration(&format!("u{}", n / 2), &upstream.url())).await }
    });
    let versions: BTreeSet<u64> = futures::future::join_all(registrations)
        .await
        .into_iter()
        .map(|result| number(result.unwrap().into_inner().version))
        .collect();
    let newest = *versions.last().unwrap();
    assert_eq!(newest, 12 + 1, "every registration is a version, after that of the start: {versions:?}");
    let mut digests = Vec::new();
    for plane in [&a, &b] {
        let mut node = Follower::open(plane, "n").await;
        let update = in_time(node.until(|update| number(update.version.clone()) >= newest)).await;
        digests.push((update.version, update.digest));
    }
    assert_eq!(digests[0], digests[1]);
}
