//! TLS settings in admin messages: what is set goes in, what it is comes out.

use prost_types::Timestamp;
use toolplane_proto::admin;
use toolplane_registry::Tls;
use toolplane_upstream::tls::{self, Certificate, Description};

/// What a message sets.
pub(super) fn given(message: &admin::Upstream) -> Tls {
    message.tls.as_ref().map(Tls::from).unwrap_or_default()
}

/// What is set, as an operator may see it; absent where nothing is.
pub(super) fn shown(tls: &Tls) -> Option<admin::UpstreamTls> {
    if tls.is_default() {
        return None;
    }
    let Description { authorities, client } = tls::describe(tls);
    Some(admin::UpstreamTls {
        authorities: authorities.into_iter().map(certificate).collect(),
        client: client.map(certificate),
        ..admin::UpstreamTls::default()
    })
}

fn certificate(certificate: Certificate) -> admin::Certificate {
    let Certificate { subject, issuer, fingerprint, not_before, not_after } = certificate;
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    admin::Certificate {
        subject,
        issuer,
        fingerprint: fingerprint.to_string(),
        not_before: time(not_before),
        not_after: time(not_after),
    }
}
