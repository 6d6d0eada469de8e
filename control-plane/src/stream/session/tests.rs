use toolplane_registry::snapshot::Builder;
use toolplane_registry::test_util::{a_domain, a_tool};

use super::*;
use crate::rollout::{Canary, Rollout};
use crate::store::{Head, Registry};
use sync::subscribe_request::Message;

fn snapshot(number: u64, domains: &[(&str, &[&str])]) -> Arc<Snapshot> {
    let mut builder = Builder::new(Version::new("s", number));
    for (domain, tools) in domains {
        builder = builder.domain(a_domain(domain, tools.iter().map(|tool| a_tool(tool)).collect()));
    }
    Arc::new(builder.build().unwrap())
}

fn hello(held: Option<&Snapshot>) -> sync::Hello {
    sync::Hello {
        node_id: "n1".into(),
        held: held.map(|held| held.version().into()),
        domains: held
            .into_iter()
            .flat_map(Snapshot::held)
            .map(|(domain, digest)| sync::HeldDomain {
                domain: domain.to_string(),
                digest: digest.as_bytes().to_vec(),
            })
            .collect(),
        ..sync::Hello::default()
    }
}

fn ack(nonce: &str) -> sync::SubscribeRequest {
    let ack = sync::Ack { nonce: nonce.into(), version: None, persisted: true };
    sync::SubscribeRequest { message: Some(Message::Ack(ack)) }
}

fn nack(nonce: &str, rule: Rule) -> sync::SubscribeRequest {
    let rejections = vec![(&Rejection::new("x", rule, "y")).into()];
    sync::SubscribeRequest {
        message: Some(Message::Nack(sync::Nack { nonce: nonce.into(), held: None, rejections })),
    }
}

fn sent(action: Action) -> sync::Update {
    match action {
        Action::Send(update)
        | Action::Acked { next: Some(update), .. }
        | Action::Nacked { next: Some(update), .. } => update.message(),
        other => panic!("nothing was sent: {other:?}"),
    }
}

#[test]
fn a_node_without_anything_gets_everything() {
    let mut session = Session::open(&hello(None)).unwrap();
    let update = sent(session.newer(snapshot(1, &[("a", &["x"]), ("b", &["y"])])));
    assert!(update.full && update.changed.len() == 2 && update.nonce == "1");
}

#[test]
fn a_node_that_resumes_gets_only_what_changed() {
    let held = snapshot(1, &[("a", &["x"]), ("b", &["y"]), ("gone", &["z"])]);
    let mut session = Session::open(&hello(Some(&held))).unwrap();
    let update = sent(session.newer(snapshot(2, &[("a", &["x"]), ("b", &["y", "y2"])])));
    let changed: Vec<_> = update.changed.iter().map(|d| d.domain.as_str()).collect();
    assert_eq!((update.full, changed, update.removed), (false, vec!["b"], vec!["gone".to_owned()]));
}

#[test]
fn a_node_that_holds_the_newest_is_told_so_once() {
    let held = snapshot(3, &[("a", &["x"])]);
    let mut session = Session::open(&hello(Some(&held))).unwrap();
    let update = sent(session.newer(Arc::clone(&held)));
    assert!(!update.full && update.changed.is_empty() && update.removed.is_empty());
    assert!(matches!(session.received(ack("1")).unwrap(), Action::Acked { next: None, .. }));
    assert!(matches!(session.newer(held), Action::Nothing));
}

#[test]
fn a_slow_node_gets_only_the_newest_state() {
    let mut session = Session::open(&hello(None)).unwrap();
    sent(session.newer(snapshot(1, &[("a", &["x"])])));
    for number in 2..50 {
        assert!(matches!(session.newer(snapshot(number, &[("a", &["x"])])), Action::Nothing));
    }
    let update = sent(session.received(ack("1")).unwrap());
    assert_eq!((update.version.unwrap().number, update.nonce.as_str(), update.full), (49, "2", false));
    assert!(update.changed.is_empty(), "the content is the same");
}

#[test]
fn a_refused_version_is_not_offered_again_but_a_newer_one_is() {
    let mut session = Session::open(&hello(None)).unwrap();
    let first = snapshot(1, &[("a", &["x"])]);
    sent(session.newer(Arc::clone(&first)));
    let action = session.received(nack("1", Rule::Consistency)).unwrap();
    assert!(matches!(action, Action::Nacked { next: None, .. }));
    assert!(matches!(session.newer(first), Action::Nothing));
    assert_eq!(sent(session.newer(snapshot(2, &[]))).version.unwrap().number, 2);
}

#[test]
fn a_digest_mismatch_is_answered_with_everything_once() {
    let held = snapshot(1, &[("a", &["x"])]);
    let mut session = Session::open(&hello(Some(&held))).unwrap();
    sent(session.newer(snapshot(2, &[("a", &["x"]), ("b", &["y"])])));
    let resync = sent(session.received(nack("1", Rule::Digest)).unwrap());
    assert!(resync.full && resync.changed.len() == 2);
    let again = session.received(nack("2", Rule::Digest)).unwrap();
    assert!(matches!(again, Action::Nacked { next: None, .. }), "{again:?}");
}

#[test]
fn another_store_means_everything() {
    let held = snapshot(9, &[("a", &["x"])]);
    let mut session = Session::open(&hello(Some(&held))).unwrap();
    let other = Builder::new(Version::new("other", 2)).build().unwrap();
    assert!(sent(session.newer(Arc::new(other))).full);
}

#[test]
fn late_answers_are_ignored_and_foreign_nonces_end_the_stream() {
    let mut session = Session::open(&hello(None)).unwrap();
    sent(session.newer(snapshot(1, &[])));
    session.newer(snapshot(2, &[("a", &["x"])]));
    sent(session.received(ack("1")).unwrap());
    assert!(matches!(session.received(ack("1")).unwrap(), Action::Nothing));
    for nonce in ["3", "0", "", "x", "99999999999999999999999"] {
        assert_eq!(session.received(ack(nonce)).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}

#[test]
fn a_confirmation_of_another_version_than_was_offered_ends_the_stream() {
    let confirmed = |version: Version| {
        let mut session = Session::open(&hello(None)).unwrap();
        sent(session.newer(snapshot(2, &[])));
        let ack = sync::Ack { nonce: "1".into(), version: Some((&version).into()), persisted: true };
        session.received(sync::SubscribeRequest { message: Some(Message::Ack(ack)) })
    };
    assert!(confirmed(Version::new("s", 2)).is_ok());
    for wrong in [Version::new("s", 1), Version::new("other", 2), Version::none()] {
        assert_eq!(confirmed(wrong).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}

#[test]
fn messages_of_a_newer_build_are_tolerated_and_a_second_hello_is_not() {
    let mut session = Session::open(&hello(None)).unwrap();
    assert!(matches!(session.received(sync::SubscribeRequest { message: None }), Ok(Action::Nothing)));
    let again = sync::SubscribeRequest { message: Some(Message::Hello(hello(None))) };
    assert_eq!(session.received(again).unwrap_err().code(), tonic::Code::FailedPrecondition);
}

#[test]
fn a_node_without_a_usable_id_is_refused() {
    for node_id in [String::new(), " ".into(), "x".repeat(300)] {
        let bad = sync::Hello { node_id, ..hello(None) };
        assert_eq!(Session::open(&bad).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}

fn rollout(baseline: u64) -> Rollout {
    Rollout {
        etag: "e".to_owned(),
        canary: Canary::new("ring", "canary").unwrap(),
        baseline,
        actor: "tok_1".to_owned(),
        started_at: 0,
        upstreams: 0,
    }
}

/// The newest state, with what a rollout keeps nodes at.
fn published(newest: &Arc<Snapshot>, baseline: Option<&Arc<Snapshot>>) -> Published {
    let head = Head { store_id: "s".to_owned(), number: newest.version().number() };
    let rollout = baseline.map(|baseline| rollout(baseline.version().number()));
    let (upstreams, environment, unreadable) = (BTreeMap::new(), String::new(), BTreeMap::new());
    Published {
        registry: Registry {
            head,
            committed_at: None,
            upstreams,
            policy: None,
            environment,
            rollout,
            unreadable,
            request_keys: Vec::new(),
        },
        snapshot: Arc::clone(newest),
        admitted: BTreeMap::new(),
        baseline: baseline.cloned(),
    }
}

#[test]
fn a_node_that_is_held_back_gets_the_baseline_and_then_nothing_until_the_rollout_ends() {
    let (baseline, newest) = (snapshot(5, &[("a", &["x"])]), snapshot(6, &[("a", &["bad"])]));
    let mut session = Session::open(&hello(None)).unwrap();
    let update = sent(session.published(&published(&newest, Some(&baseline))));
    assert_eq!(update.digest, baseline.digest().as_bytes());
    session.received(ack("1")).unwrap();
    for number in 7..9 {
        let newer = snapshot(number, &[("a", &["worse"])]);
        assert!(matches!(session.published(&published(&newer, Some(&baseline))), Action::Nothing));
    }
    let promoted = snapshot(9, &[("a", &["good"])]);
    let update = sent(session.published(&published(&promoted, None)));
    assert_eq!((update.digest.as_slice(), update.full), (&promoted.digest().as_bytes()[..], false));
}

#[test]
fn a_canary_gets_the_newest_and_a_node_before_the_baseline_only_that() {
    let (baseline, newest) = (snapshot(5, &[("a", &["x"])]), snapshot(6, &[("a", &["bad"])]));
    let held = snapshot(4, &[("a", &["x"])]);
    let state = published(&newest, Some(&baseline));
    let canary =
        sync::Hello { labels: [("ring".to_owned(), "canary".to_owned())].into(), ..hello(Some(&held)) };
    for (hello, expected) in [(canary, &newest), (hello(Some(&held)), &baseline)] {
        let update = sent(Session::open(&hello).unwrap().published(&state));
        assert_eq!(update.version, Some(expected.version().into()));
    }
}

#[test]
fn a_node_keeps_what_it_holds_from_the_baseline_on_and_is_told_so_once() {
    let (baseline, newest) = (snapshot(5, &[("a", &["x"])]), snapshot(7, &[("a", &["bad"])]));
    let state = published(&newest, Some(&baseline));
    // It was a canary before, or holds an upstream that was removed since.
    for held in [snapshot(5, &[("a", &["x"]), ("gone", &["y"])]), snapshot(6, &[("a", &["z"])])] {
        let mut session = Session::open(&hello(Some(&held))).unwrap();
        let update = sent(session.published(&state));
        assert_eq!((update.version, update.full), (Some(held.version().into()), false));
        assert!(update.changed.is_empty() && update.removed.is_empty());
        assert_eq!(update.digest, held.digest().as_bytes(), "what the node computes for what it holds");
        let Action::Acked { version, digest, next: None, .. } = session.received(ack("1")).unwrap() else {
            panic!("it was confirmed")
        };
        assert_eq!((&version, digest), (held.version(), held.digest()));
        assert!(matches!(session.published(&state), Action::Nothing));
    }
}

#[test]
fn a_promotion_overtakes_a_node_that_is_still_being_told_to_keep_what_it_holds() {
    let (baseline, newest) = (snapshot(5, &[("a", &["x"])]), snapshot(7, &[("a", &["y"])]));
    let mut session = Session::open(&hello(Some(&baseline))).unwrap();
    sent(session.published(&published(&newest, Some(&baseline))));
    let promoted = snapshot(8, &[("a", &["y"])]);
    assert!(matches!(session.published(&published(&promoted, None)), Action::Nothing));
    let update = sent(session.received(nack("1", Rule::Digest)).unwrap());
    assert_eq!(update.version, Some(promoted.version().into()));
}

#[test]
fn without_a_baseline_a_node_that_lacks_it_is_sent_nothing() {
    let newest = snapshot(6, &[("a", &["bad"])]);
    let mut state = published(&newest, Some(&snapshot(5, &[])));
    state.baseline = None;
    assert!(matches!(Session::open(&hello(None)).unwrap().published(&state), Action::Nothing));
}
