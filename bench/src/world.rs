//! What benchmarks run in: processes of the measured binary, a fleet of them, registries of known size.

pub(crate) mod child;
pub(crate) mod corpus;
pub(crate) mod fleet;
pub(crate) mod follower;
pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod usage;
