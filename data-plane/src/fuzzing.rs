//! Entry points for fuzzing: each takes any bytes for what somebody else sent or left on the disk, and panics where a
//! promise is broken.
//!
//! One function per target, for every driver: the seeded one in `tests/fuzz`, and coverage-guided ones. Never compiled
//! without the feature `fuzzing`.

pub use crate::mcp::fuzzing::request;
pub use crate::sync::fuzzing::update;
pub use crate::sync::last_good::fuzzing::last_good;
