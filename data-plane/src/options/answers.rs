//! What callers are offered, and in which form errors come back.

/// Whose domains the generated instructions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstructionsScope {
    /// Those that the caller sees.
    #[default]
    Caller,
    /// All of them, also where hooks hide some: the same text for everybody, for which no hook is asked.
    All,
}

/// What clients can list and call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// The meta-tools.
    #[default]
    MetaTools,
    /// Beside them the tools of upstreams, by name, for conformance suites. Without debug assertions it has no effect.
    Direct,
}

/// How coded errors come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorResults {
    /// As results that say so: MCP hosts act on `isError`.
    #[default]
    IsError,
    /// As ordinary results whose text is the error.
    Plain,
}
