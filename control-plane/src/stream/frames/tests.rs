use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use toolplane_proto::encode;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::test_util::{a_domain, a_tool};
use toolplane_registry::{Digest, Domain, Snapshot, Version};

use super::*;

/// Domains with their tools, as short as a name and longer than a byte of length can say.
fn domains() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    btree_map("[a-e]", vec("[a-z]{1,40}", 0..12), 0..5)
}

fn snapshot(number: u64, domains: &BTreeMap<String, Vec<String>>) -> Snapshot {
    let builder = Builder::new(Version::new("s", number));
    let builder = domains.iter().fold(builder, |builder, (domain, tools)| {
        let tools: std::collections::BTreeSet<_> = tools.iter().collect();
        builder.domain(a_domain(domain, tools.into_iter().map(|tool| a_tool(tool)).collect()))
    });
    builder.build().unwrap()
}

fn update(snapshot: &Snapshot, held: &BTreeMap<Domain, Digest>, full: bool) -> Update {
    let bare = sync::Update { full, ..encode::bare_update(snapshot, held, "7".to_owned()) };
    Update { bare, changed: encode::changed(snapshot, held).map(Arc::clone).collect() }
}

/// What a peer makes of the bytes.
fn decoded(frames: Frames) -> sync::SubscribeResponse {
    let bytes = frames.into_pieces().collect::<Vec<_>>().concat();
    let (head, message) = bytes.split_first_chunk::<5>().unwrap();
    assert_eq!(head[0], 0, "it is not compressed");
    assert_eq!(u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize, message.len());
    sync::SubscribeResponse::decode(message).unwrap()
}

fn response(update: sync::Update) -> sync::SubscribeResponse {
    sync::SubscribeResponse { message: Some(sync::subscribe_response::Message::Update(update)) }
}

proptest! {
    #[test]
    fn shared_bytes_say_what_the_ordinary_encoding_says(before in domains(), after in domains()) {
        let shelf = Shelf::default();
        let (before, after) = (snapshot(1, &before), snapshot(2, &after));
        let held = before.held().map(|(domain, digest)| (domain.clone(), digest)).collect();
        let delta = shelf.frames(&update(&after, &held, false)).unwrap();
        prop_assert_eq!(decoded(delta), response(encode::delta_update(&after, &held, "7".to_owned())));
        // Some of it is encoded already.
        let full = shelf.frames(&update(&after, &BTreeMap::new(), true)).unwrap();
        prop_assert_eq!(full.len(), full.clone().into_pieces().map(|piece| piece.len()).sum::<usize>());
        prop_assert_eq!(decoded(full), response(encode::full_update(&after, "7".to_owned())));
    }
}

#[test]
fn a_domain_is_encoded_once_for_all_nodes_and_kept_as_long_as_its_snapshot() {
    let shelf = Shelf::default();
    let one = snapshot(1, &BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]));
    let bytes = || {
        let frames = shelf.clone().frames(&update(&one, &BTreeMap::new(), true)).unwrap();
        frames.into_pieces().last().unwrap()
    };
    assert_eq!(bytes().as_ptr(), bytes().as_ptr());
    shelf.sweep();
    assert_eq!(format!("{shelf:?}"), "Shelf(1 domains)");
    drop(one);
    shelf.sweep();
    assert_eq!(format!("{shelf:?}"), "Shelf(0 domains)");
}
