use toolplane_registry::snapshot::Builder;
use toolplane_registry::test_util::{a_domain, a_tool};

use super::*;
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
        | Action::Nacked { next: Some(update), .. } => *update,
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
