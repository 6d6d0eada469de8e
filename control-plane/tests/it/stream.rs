use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic::{Code, Streaming};
use toolplane_proto::admin::node_service_client::NodeServiceClient;
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::{self, ListNodesRequest};
use toolplane_proto::sync::subscribe_request::Message;
use toolplane_proto::sync::sync_service_client::SyncServiceClient;
use toolplane_proto::sync::{self, subscribe_response};
use toolplane_registry::Secret;
use toolplane_testkit::fake_upstream::FakeUpstream;
use toolplane_testkit::fault_proxy::Faults;
use toolplane_testkit::{FaultProxy, TestDatabase};

use crate::harness::{Client, Plane};

/// A node that takes every update and says ACK.
pub(crate) struct Follower {
    to: mpsc::Sender<sync::SubscribeRequest>,
    from: Streaming<sync::SubscribeResponse>,
}

impl Follower {
    pub(crate) async fn open(plane: &Plane, id: &str) -> Self {
        let hello = sync::Hello { node_id: id.into(), build: "test".into(), ..Default::default() };
        Self::open_as(plane, hello).await
    }

    /// One that has confirmed what there is.
    pub(crate) async fn up_to_date(plane: &Plane, id: &str) -> Self {
        let mut node = Self::open(plane, id).await;
        let first = node.next().await;
        node.ack(&first).await;
        node
    }

    pub(crate) async fn open_as(plane: &Plane, hello: sync::Hello) -> Self {
        Self::open_with(plane.as_node(), hello).await
    }

    pub(crate) async fn open_with(client: Client, hello: sync::Hello) -> Self {
        let (to, requests) = mpsc::channel(4);
        to.send(message(Message::Hello(hello))).await.unwrap();
        let mut client = SyncServiceClient::new(client);
        let from = client.subscribe(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { to, from }
    }

    pub(crate) async fn next(&mut self) -> sync::Update {
        let subscribe_response::Message::Update(update) =
            self.from.message().await.unwrap().unwrap().message.unwrap();
        update
    }

    pub(crate) async fn ack(&self, update: &sync::Update) {
        let ack = sync::Ack { nonce: update.nonce.clone(), version: update.version.clone(), persisted: true };
        self.to.send(message(Message::Ack(ack))).await.unwrap();
    }

    pub(crate) async fn nack(&self, update: &sync::Update, held: &sync::Update, reason: &str) {
        let rejection = sync::Rejection { subject: "x".into(), rule: "schema".into(), reason: reason.into() };
        let nonce = update.nonce.clone();
        let nack = sync::Nack { nonce, held: held.version.clone(), rejections: vec![rejection] };
        self.to.send(message(Message::Nack(nack))).await.unwrap();
    }

    pub(crate) async fn until(&mut self, found: impl Fn(&sync::Update) -> bool) -> sync::Update {
        loop {
            let update = self.next().await;
            self.ack(&update).await;
            if found(&update) {
                return update;
            }
        }
    }
}

fn message(message: Message) -> sync::SubscribeRequest {
    sync::SubscribeRequest { message: Some(message) }
}

/// Waits until the list of nodes satisfies: nodes report asynchronously, and there is nothing to await but that.
pub(crate) async fn nodes_until(plane: &Plane, found: impl Fn(&[admin::Node]) -> bool) -> Vec<admin::Node> {
    let mut client = NodeServiceClient::new(plane.as_admin());
    loop {
        let nodes = client.list_nodes(ListNodesRequest::default()).await.unwrap().into_inner().nodes;
        if found(&nodes) {
            return nodes;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_registration_reaches_a_node_and_only_what_changed_travels() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("first", &upstream.url()).await;
    let mut node = Follower::open(&plane, "n1").await;
    let all = node.next().await;
    assert!(all.full && all.changed.len() == 1);
    node.ack(&all).await;
    let created = plane.create("second", &upstream.url()).await;
    let delta = node.next().await;
    assert_eq!(delta.version, created.version);
    let changed: Vec<_> = delta.changed.iter().map(|domain| domain.domain.as_str()).collect();
    assert_eq!((delta.full, changed), (false, vec!["second"]));
}

#[tokio::test]
async fn nodes_are_listed_with_what_they_serve_and_why_they_refused() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("first", &upstream.url()).await;
    let mut node = Follower::open(&plane, "n1").await;
    let update = node.next().await;
    node.ack(&update).await;
    nodes_until(&plane, |nodes| nodes.len() == 1 && nodes[0].version == update.version).await;
    plane.create("second", &upstream.url()).await;
    let refused = node.next().await;
    let rejections =
        vec![sync::Rejection { subject: "x".into(), rule: "schema".into(), reason: "bad".into() }];
    let nack = sync::Nack { nonce: refused.nonce, held: update.version.clone(), rejections };
    node.to.send(message(Message::Nack(nack))).await.unwrap();
    let nodes = nodes_until(&plane, |nodes| !nodes[0].rejections.is_empty()).await;
    assert_eq!(nodes[0].version, update.version);
    drop(node);
    nodes_until(&plane, |nodes| !nodes[0].connected).await;
}

#[tokio::test]
async fn garbage_ends_the_stream_with_a_precise_status_and_harms_nobody_else() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let mut good = Follower::open(&plane, "good").await;
    let first = good.next().await;
    good.ack(&first).await;
    let (to, requests) = mpsc::channel(4);
    let early = sync::Ack { nonce: "1".into(), ..Default::default() };
    to.send(message(Message::Ack(early))).await.unwrap();
    let mut client = SyncServiceClient::new(plane.as_node());
    let mut answers = client.subscribe(ReceiverStream::new(requests)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::FailedPrecondition);

    let mut liar = Follower::open(&plane, "liar").await;
    let update = liar.next().await;
    liar.ack(&sync::Update { nonce: "77".into(), ..update }).await;
    assert_eq!(liar.from.message().await.unwrap_err().code(), Code::InvalidArgument);

    plane.create("first", &upstream.url()).await;
    assert_eq!(good.next().await.changed.len(), 1);
}

#[tokio::test]
async fn a_token_without_the_role_cannot_follow() {
    let plane = Plane::start().await;
    let viewer = plane.token(admin::Role::Viewer).await;
    let mut client = SyncServiceClient::new(plane.bearer(&viewer));
    let refused = client.subscribe(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_node_that_reconnects_stays_connected_when_its_old_stream_ends() {
    let plane = Plane::start().await;
    let old = Follower::open(&plane, "n1").await;
    let mut new = Follower::open(&plane, "n1").await;
    new.next().await;
    drop(old);
    // Another node's stream comes and goes behind it, so the old one's end has been seen by then.
    drop(Follower::open(&plane, "n2").await);
    let nodes = nodes_until(&plane, |nodes| nodes.iter().any(|n| n.node_id == "n2" && !n.connected)).await;
    assert!(nodes[0].connected, "{nodes:?}");
}

#[tokio::test]
async fn a_node_from_a_lost_history_makes_the_store_start_a_new_one() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let created = plane.create("first", &upstream.url()).await.version.unwrap();
    let mut steady = Follower::open(&plane, "steady").await;
    let before = steady.next().await;
    steady.ack(&before).await;
    // As if the database had been restored from a backup: the node has seen versions that it does not know.
    let held = sync::Version { number: created.number + 40, ..created.clone() };
    let (to, requests) = mpsc::channel(4);
    let hello = sync::Hello { node_id: "ahead".into(), held: Some(held), ..Default::default() };
    to.send(message(Message::Hello(hello))).await.unwrap();
    let mut client = SyncServiceClient::new(plane.as_node());
    let mut answers = client.subscribe(ReceiverStream::new(requests)).await.unwrap().into_inner();
    let subscribe_response::Message::Update(update) =
        answers.message().await.unwrap().unwrap().message.unwrap();
    let version = update.version.unwrap();
    assert_ne!(version.store_id, created.store_id);
    assert!(update.full && update.changed.len() == 1);
    let other = steady.next().await;
    assert_eq!((other.full, other.version.unwrap().store_id), (true, version.store_id));
}

#[tokio::test]
async fn without_its_database_a_control_plane_ends_its_streams_and_opens_no_others() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let (proxy, url) = FaultProxy::in_front_of(database.url()).await;
    let plane = Plane::start_with(move |options| {
        options.database_url = Secret::new(url.clone());
        options.poll_interval = Duration::from_millis(50);
        options.database_timeout = Duration::from_millis(500);
        options.database_grace = Duration::from_millis(100);
    })
    .await;
    let mut node = Follower::up_to_date(&plane, "n1").await;
    proxy.set(Faults::refusing());
    proxy.reset();
    assert_eq!(node.from.message().await.unwrap_err().code(), Code::Unavailable);
    let (to, requests) = mpsc::channel(4);
    let hello = sync::Hello { node_id: "n2".into(), ..Default::default() };
    to.send(message(Message::Hello(hello))).await.unwrap();
    let mut client = SyncServiceClient::new(plane.as_node());
    let first_heard = match client.subscribe(ReceiverStream::new(requests)).await {
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
        // Its token could not be looked up either.
        Err(refused) => refused,
    };
    assert_eq!(first_heard.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_token_that_is_lost_ends_its_stream_before_anything_newer_is_sent() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let mut tokens = TokenServiceClient::new(plane.as_admin());
    let request = admin::CreateTokenRequest { role: admin::Role::Node.into(), ..Default::default() };
    let created = tokens.create_token(request).await.unwrap().into_inner();
    let hello = sync::Hello { node_id: "thief".into(), ..Default::default() };
    let mut thief = Follower::open_with(plane.bearer(&created.secret), hello).await;
    let update = thief.next().await;
    thief.ack(&update).await;
    let mut honest = Follower::open(&plane, "honest").await;
    let update = honest.next().await;
    honest.ack(&update).await;
    // As another control plane would: this one hears of it from the database alone.
    plane.raw("UPDATE tokens SET revoked_at = 1 WHERE role = 'node' AND description = ''").await;
    plane.create("first", &upstream.url()).await;
    assert_eq!(honest.next().await.changed.len(), 1);
    assert_eq!(thief.from.message().await.unwrap_err().code(), Code::Unauthenticated);
    nodes_until(&plane, |nodes| nodes.iter().any(|node| node.node_id == "thief" && !node.connected)).await;
}

#[tokio::test]
async fn a_revoked_token_ends_what_waits_for_a_version() {
    let plane = Plane::start().await;
    let viewer = plane.token(admin::Role::Viewer).await;
    let mut client = SnapshotServiceClient::new(plane.bearer(&viewer));
    let request = admin::WaitForVersionRequest { version: 99, ..Default::default() };
    let _behind = Follower::open(&plane, "behind").await;
    nodes_until(&plane, |nodes| nodes.len() == 1).await;
    let mut waiting = client.wait_for_version(request).await.unwrap().into_inner();
    assert!(!waiting.message().await.unwrap().unwrap().done);
    let mut tokens = TokenServiceClient::new(plane.as_admin());
    let listed = tokens.list_tokens(admin::ListTokensRequest::default()).await.unwrap().into_inner().tokens;
    let found = listed.iter().find(|token| token.role == i32::from(admin::Role::Viewer)).unwrap();
    let request = admin::RevokeTokenRequest { token_id: found.token_id.clone() };
    tokens.revoke_token(request).await.unwrap();
    let ended = loop {
        match waiting.message().await {
            Ok(Some(_)) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(ended.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_token_cannot_make_the_store_start_over_again_and_again() {
    let plane = Plane::start().await;
    let mut steady = Follower::open(&plane, "steady").await;
    let before = steady.next().await.version.unwrap();
    let ahead = |version: &sync::Version| sync::Hello {
        node_id: "liar".into(),
        held: Some(sync::Version { number: version.number + 1, ..version.clone() }),
        ..Default::default()
    };
    let renewed = Follower::open_as(&plane, ahead(&before)).await.next().await.version.unwrap();
    assert_ne!(renewed.store_id, before.store_id, "one claim is believed");
    let refused = Follower::open_as(&plane, ahead(&renewed)).await.from.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let next = Follower::open(&plane, "another").await.next().await.version.unwrap();
    assert_eq!(next.store_id, renewed.store_id);
}

#[tokio::test]
async fn a_node_whose_id_another_took_is_shown_again_when_that_one_is_gone() {
    let plane = Plane::start().await;
    let mut real = Follower::open(&plane, "n1").await;
    let update = real.next().await;
    real.ack(&update).await;
    let mut other = Follower::open(&plane, "n1").await;
    other.next().await;
    drop(other);
    // Another node's stream comes and goes behind it, so its end has been seen by then.
    drop(Follower::open(&plane, "n2").await);
    let nodes = nodes_until(&plane, |nodes| nodes.iter().any(|n| n.node_id == "n2" && !n.connected)).await;
    assert!(nodes[0].connected && nodes[0].ack_time.is_some(), "{nodes:?}");
    drop(real);
    nodes_until(&plane, |nodes| !nodes[0].connected).await;
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let plane = Plane::start_with(|options| options.max_connections = 3).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(tokio::net::TcpStream::connect(plane.address).await.unwrap());
    }
    let mut node = Follower::open(&plane, "n1").await;
    node.next().await;
    // The oldest made room.
    let mut first = silent.remove(0);
    let mut said = Vec::new();
    // It may be reset, which ends it just as well.
    drop(first.read_to_end(&mut said).await);
    assert!(said.len() < 64, "its greeting, and the end");
}

#[tokio::test]
async fn those_who_wait_for_a_version_are_bounded() {
    let plane = Plane::start().await;
    let _behind = Follower::open(&plane, "behind").await;
    nodes_until(&plane, |nodes| nodes.len() == 1).await;
    let bearer: MetadataValue<_> = format!("Bearer {}", plane.secret("admin.token")).parse().unwrap();
    let (mut waiting, mut refused) = (Vec::new(), None);
    for _ in 0..6 {
        // A connection has room for so many.
        let channel = Endpoint::from_shared(format!("http://{}", plane.address)).unwrap().connect_lazy();
        let mut client = SnapshotServiceClient::new(channel);
        for _ in 0..100 {
            let wait = admin::WaitForVersionRequest { version: 99, ..Default::default() };
            let mut request = tonic::Request::new(wait);
            request.metadata_mut().insert("authorization", bearer.clone());
            match client.wait_for_version(request).await {
                Ok(answers) => waiting.push(answers),
                Err(status) => refused = Some(status.code()),
            }
        }
    }
    assert_eq!((waiting.len(), refused), (512, Some(Code::ResourceExhausted)));
}
