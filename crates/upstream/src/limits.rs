//! Limits around the client: how long a call may take, how often it is sent, how many of them an upstream may hold,
//! and when it is spared.
//!
//! # Responsibilities
//!
//! * [`Settings`]: the limits of one upstream, those of the node where the operator set none.
//! * [`State`]: what is known of one upstream from call to call. It outlives snapshots and is dropped with the upstream.
//! * [`Limited`]: the client within these limits. A call that may have run is never sent twice, unless its tool says
//!   that this does no harm.
//!
//! # Not here
//!
//! No request is made or read; that is [`crate::client`]. No lock is held on the way of a call.
//!
//! # Layout
//!
//! [`breaker`], [`budget`] and [`health`] are pure: explicit time, no I/O. [`bulkhead`] waits; [`call`] puts all of
//! them around one call; [`reading`] is what an operator may see of them.

pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod health;
pub mod reading;
mod settings;
mod state;
mod window;

pub use self::call::{Error, Limited};
pub use self::reading::Reading;
pub use self::settings::Settings;
pub use self::state::{Clock, State};

use std::time::Duration;

/// Limits that concern one exchange with an upstream; absent ones are those of the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Option<Duration>,
    /// Until the head of a reply arrives.
    pub first_byte: Option<Duration>,
    /// Between two pieces of a reply.
    pub idle: Option<Duration>,
}
