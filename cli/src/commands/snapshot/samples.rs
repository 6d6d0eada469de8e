//! What tests of the tables show.

use toolplane_proto::sync;

pub(super) fn version(number: u64) -> sync::Version {
    sync::Version { store_id: "s".into(), number }
}

pub(super) fn rejection() -> sync::Rejection {
    sync::Rejection { subject: "tool `a` of `crm`".into(), rule: "schema".into(), reason: "too deep".into() }
}
