//! A peer of the next release says more than this one knows, and is understood all the same.

use prost::Message;
use toolplane_proto::sync;
use toolplane_proto::sync::{subscribe_request, subscribe_response};

/// Field 1007, length-delimited, as a later release may append it to any message.
const UNKNOWN: [u8; 6] = [0xfa, 0x3e, 3, b'n', b'e', b'w'];

/// Decodes what a newer peer would send: the message with a field more.
fn from_newer_peer<M: Message + Default>(message: &M) -> M {
    let mut bytes = message.encode_to_vec();
    bytes.extend(UNKNOWN);
    M::decode(bytes.as_slice()).expect("unknown fields are skipped")
}

/// Decodes bytes that hold nothing but a kind of message that this release does not have.
fn of_unknown_kind<M: Message + Default>() -> M {
    M::decode(UNKNOWN.as_slice()).expect("unknown kinds are skipped")
}

#[test]
fn a_node_reads_updates_with_fields_it_does_not_know() {
    let version = from_newer_peer(&sync::Version { store_id: "s".to_owned(), number: 7 });
    let tool = from_newer_peer(&sync::Tool { original_name: "search".to_owned(), ..Default::default() });
    let endpoint = from_newer_peer(&sync::Endpoint { url: "http://a/mcp".to_owned(), ..Default::default() });
    let domain = sync::Domain { endpoint: Some(endpoint), tools: vec![tool], ..Default::default() };
    let settings = from_newer_peer(&sync::Settings { registration_enabled: true, ..Default::default() });
    let update = sync::Update {
        nonce: "1".to_owned(),
        version: Some(version),
        changed: vec![from_newer_peer(&domain)],
        settings: Some(settings),
        ..Default::default()
    };
    assert_eq!(from_newer_peer(&update), update);
    let message = Some(subscribe_response::Message::Update(update));
    let response = sync::SubscribeResponse { message };
    assert_eq!(from_newer_peer(&response), response);
}

#[test]
fn a_control_plane_reads_hello_ack_and_nack_with_fields_it_does_not_know() {
    use subscribe_request::Message as Said;
    let rejection = from_newer_peer(&sync::Rejection { rule: "new_rule".to_owned(), ..Default::default() });
    let nack = sync::Nack { nonce: "2".to_owned(), rejections: vec![rejection], ..Default::default() };
    let held = from_newer_peer(&sync::HeldDomain { domain: "a".to_owned(), digest: vec![1] });
    let hello = sync::Hello { node_id: "n".to_owned(), domains: vec![held], ..Default::default() };
    let ack = sync::Ack { nonce: "1".to_owned(), persisted: true, ..Default::default() };
    for said in [
        Said::Hello(from_newer_peer(&hello)),
        Said::Ack(from_newer_peer(&ack)),
        Said::Nack(from_newer_peer(&nack)),
    ] {
        let request = sync::SubscribeRequest { message: Some(said) };
        assert_eq!(from_newer_peer(&request), request);
    }
}

#[test]
fn a_kind_of_message_of_a_later_release_is_no_message_and_no_error() {
    assert_eq!(of_unknown_kind::<sync::SubscribeRequest>().message, None);
    assert_eq!(of_unknown_kind::<sync::SubscribeResponse>().message, None);
}

#[test]
fn an_older_peer_leaves_out_what_it_does_not_know() {
    let update = sync::Update::decode([].as_slice()).expect("everything is optional on the wire");
    assert_eq!((update.nonce.as_str(), update.version, update.full), ("", None, false));
    let domain = sync::Domain::decode([].as_slice()).expect("everything is optional on the wire");
    assert!(!domain.pending && domain.endpoint.is_none());
}

#[test]
fn a_node_that_names_no_protocol_version_says_what_it_always_said() {
    let old = sync::Hello { node_id: "n".to_owned(), ..Default::default() };
    let bytes = old.encode_to_vec();
    assert_eq!(sync::Hello::decode(bytes.as_slice()).expect("a Hello").protocol_version, 0);
    let new = sync::Hello { protocol_version: toolplane_proto::PROTOCOL_VERSION, ..old };
    let added = new.encode_to_vec().len() - bytes.len();
    assert_eq!(added, 2, "one field behind those that older control planes know");
}
