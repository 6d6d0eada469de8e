//! What a node says, before the state machine sees it: the first message, and what cannot be read.
//!
//! | first message | the stream |
//! |---|---|
//! | none within 10 s | ends: `DEADLINE_EXCEEDED` |
//! | anything but Hello | ends: `FAILED_PRECONDITION` |
//! | a Hello of a protocol version that is not spoken here | ends: `FAILED_PRECONDITION`, naming those that are |
//! | a Hello without an id, with more or longer texts than may be, with characters in them that cannot be shown, or with a domain or digest that is none | ends: `INVALID_ARGUMENT` |
//! | a Hello that holds a version which the store never came to, within an hour after another such Hello was believed | ends: `FAILED_PRECONDITION` |
//! | any other Hello | is open |

use std::time::Duration;

use tonic::{Code, Status, Streaming};
use toolplane_proto::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, sync};

/// How long a stream may be open without a Hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// The Hello that a stream has to begin with.
pub(super) async fn hello(inbox: &mut Streaming<sync::SubscribeRequest>) -> Result<sync::Hello, Status> {
    let first = tokio::time::timeout(HELLO_DEADLINE, inbox.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no Hello was sent in time"))?;
    let first = first.map_err(|status| unreadable(&status))?;
    let first = first.ok_or_else(|| Status::failed_precondition("the stream ended before Hello"))?;
    let Some(sync::subscribe_request::Message::Hello(hello)) = first.message else {
        return Err(Status::failed_precondition("the first message of a stream must be Hello"));
    };
    check_version(&hello)?;
    Ok(hello)
}

/// Nodes older than the field do not name a version, and mean the first.
fn check_version(hello: &sync::Hello) -> Result<(), Status> {
    let spoken = hello.protocol_version.max(1);
    if (MIN_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&spoken) {
        return Ok(());
    }
    let known = if MIN_PROTOCOL_VERSION == PROTOCOL_VERSION {
        format!("version {PROTOCOL_VERSION}")
    } else {
        format!("versions {MIN_PROTOCOL_VERSION} to {PROTOCOL_VERSION}")
    };
    Err(Status::failed_precondition(format!(
        "this control plane speaks {known} of the sync protocol and the node speaks version {spoken}: \
         run releases that are neighbors"
    )))
}

/// What is said to a node whose message cannot be read.
pub(super) fn unreadable(status: &Status) -> Status {
    match status.code() {
        // What has a source is a connection that broke: nobody is there to be told.
        _ if std::error::Error::source(status).is_some() => Status::cancelled("the node went away"),
        Code::OutOfRange => {
            Status::resource_exhausted(format!("a message is too long: {}", status.message()))
        }
        _ => Status::invalid_argument(format!("a message cannot be read: {}", status.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(protocol_version: u32) -> sync::Hello {
        sync::Hello { protocol_version, ..sync::Hello::default() }
    }

    #[test]
    fn a_protocol_version_that_is_not_spoken_is_refused_with_those_that_are() {
        for spoken in [0, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION] {
            assert!(check_version(&hello(spoken)).is_ok(), "{spoken}");
        }
        let refusal = check_version(&hello(PROTOCOL_VERSION + 1)).unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition);
        for version in [PROTOCOL_VERSION, PROTOCOL_VERSION + 1] {
            assert!(refusal.message().contains(&format!("version {version}")), "{refusal}");
        }
    }

    #[test]
    fn garbage_is_told_from_a_connection_that_broke() {
        let garbage = unreadable(&Status::internal("failed to decode"));
        assert_eq!(garbage.code(), Code::InvalidArgument);
        assert_eq!(unreadable(&Status::out_of_range("9 > 8")).code(), Code::ResourceExhausted);
        let broken = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(unreadable(&broken).code(), Code::Cancelled);
    }
}
