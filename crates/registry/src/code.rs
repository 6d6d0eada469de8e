//! The closed set of failure kinds that module errors map to and edges translate once.

/// What kind of failure happened, whatever module it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request itself is wrong.
    InvalidInput,
    /// The thing named does not exist (or must look as if it did not).
    NotFound,
    /// The thing to create exists.
    AlreadyExists,
    /// No valid credential was presented.
    Unauthenticated,
    /// The credential does not allow this.
    Forbidden,
    /// Somebody else changed the thing in between.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// An upstream failed.
    UpstreamFailed,
    /// A part of ours is away; trying again later may help.
    Unavailable,
    /// A deadline passed.
    Timeout,
    /// A fault of ours.
    Internal,
}
