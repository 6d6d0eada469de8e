//! How an upstream speaks: between wire and model.

use toolplane_registry::protocol::{Protocol, Revision, STATELESS};

use crate::sync;

/// What is not known is not said.
pub fn encode(protocol: Protocol) -> Option<sync::Protocol> {
    let (era, version, issues_sessions) = match protocol {
        Protocol::Unknown => return None,
        Protocol::Stateless => (sync::Era::Stateless, STATELESS, false),
        Protocol::Handshake { revision, sessions } => (sync::Era::Handshake, revision.as_str(), sessions),
    };
    Some(sync::Protocol { era: era.into(), version: version.to_owned(), issues_sessions })
}

/// What a newer control plane found and this build does not know is as good as not known: a call finds its own way
/// then.
pub fn decode(protocol: &sync::Protocol) -> Protocol {
    match (protocol.era(), Revision::parse(&protocol.version)) {
        (sync::Era::Stateless, _) if protocol.version == STATELESS => Protocol::Stateless,
        (sync::Era::Handshake, Some(revision)) => {
            Protocol::Handshake { revision, sessions: protocol.issues_sessions }
        }
        _ => Protocol::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_survives_the_wire_and_what_is_strange_is_not_known() {
        let sessions = Protocol::Handshake { revision: Revision::V2025_03_26, sessions: true };
        let none = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
        for protocol in [Protocol::Stateless, sessions, none] {
            assert_eq!(decode(&encode(protocol).unwrap()), protocol);
        }
        assert_eq!(encode(Protocol::Unknown), None);
        let known = encode(sessions).unwrap();
        for strange in [
            sync::Protocol { era: 9, ..known.clone() },
            sync::Protocol { version: "2031-01-01".to_owned(), ..known.clone() },
            sync::Protocol { era: sync::Era::Stateless.into(), ..known },
        ] {
            assert_eq!(decode(&strange), Protocol::Unknown);
        }
    }
}
