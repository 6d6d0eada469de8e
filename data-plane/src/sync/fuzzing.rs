//! Entry point for fuzzing what the control plane sends.
//!
//! Owns promises and no behavior: what runs is the code of `sync`. Never compiled without the feature `fuzzing`.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use toolplane_proto::encode;
use toolplane_proto::sync::{self, Update};
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Settings, whole_digest};
use toolplane_registry::{Digest, Domain, Snapshot, Tool, Version};

use super::apply::apply;
use super::session::Session;
use crate::live::Served;
use crate::mcp::fuzzing::read_view;

/// An encoded update: as it is, and with digests that fit its content, since no other gets far.
///
/// # Panics
///
/// Where what was applied is not the same after another way over the wire, or cannot be read by a caller.
pub fn update(input: &[u8]) {
    let Ok(update) = Update::decode(input) else { return };
    let nothing = nothing();
    let mut session = Session::default();
    if session.check(nothing.version(), &update).is_ok() {
        assert!(session.check(nothing.version(), &update).is_err(), "a nonce counts twice");
    }
    take(&nothing, update.clone());
    let whole = fitting(update.clone());
    if let Some(held) = take(&nothing, whole) {
        take(&held, Update { full: false, ..update });
    }
}

/// What becomes of an update on top of what is held.
fn take(held: &Snapshot, update: Update) -> Option<Snapshot> {
    let snapshot = match apply(held, update) {
        Ok(snapshot) => snapshot,
        Err(rejections) => {
            assert!(!rejections.is_empty(), "a refusal has reasons");
            return None;
        }
    };
    let again = apply(&nothing(), encode::full_update(&snapshot, "n".to_owned()));
    let is_same =
        again.is_ok_and(|again| again.digest() == snapshot.digest() && again.version() == snapshot.version());
    assert!(is_same, "what was applied does not survive the wire");
    read_view(snapshot.all());
    Served::new(snapshot).ok().map(|served| served.snapshot().clone())
}

/// The same as a full update whose digests are those of its content, as far as that can be read.
fn fitting(mut update: Update) -> Update {
    for entry in &mut update.changed {
        if let Some(digest) = digest_of(entry) {
            entry.digest = digest.as_bytes().to_vec();
        }
    }
    let held =
        |entry: &sync::Domain| Some((Domain::parse(&entry.domain).ok()?, Digest::from_bytes(&entry.digest)?));
    let digests: BTreeMap<Domain, Digest> = update.changed.iter().filter_map(held).collect();
    let settings = update.settings.clone().map(Settings::from).unwrap_or_default();
    let digest = whole_digest(&settings, digests.iter().map(|(domain, digest)| (domain, *digest)));
    Update { full: true, removed: Vec::new(), digest: digest.as_bytes().to_vec(), ..update }
}

fn digest_of(entry: &sync::Domain) -> Option<Digest> {
    let sync::Domain { domain, description, endpoint, tools, pending, digest: _ } = entry.clone();
    let tools: Result<Vec<_>, _> = tools.into_iter().map(|tool| Tool::try_from(tool).map(Arc::new)).collect();
    let endpoint = endpoint?.try_into().ok()?;
    let entry = DomainSnapshot::new(Domain::parse(&domain).ok()?, description, endpoint, tools.ok()?);
    Some(entry.with_pending(pending).digest())
}

#[expect(clippy::expect_used, reason = "nothing contradicts itself in an empty snapshot")]
fn nothing() -> Snapshot {
    Builder::new(Version::none()).build().expect("an empty snapshot is consistent")
}
