//! What a proxy does to what passes through it: plain values.

use std::time::Duration;

/// What happens to connections. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// On the way from the client to the target.
    pub to_target: Way,
    /// On the way back.
    pub to_client: Way,
    /// Whether new connections are reset as soon as they are there.
    pub refuse: bool,
}

/// What happens on one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing arrives, the end of the connection included; what was sent meanwhile arrives when this is over.
    pub stalled: bool,
    /// How much later everything arrives.
    pub latency: Option<Latency>,
    /// How little arrives at once.
    pub chunks: Option<Chunks>,
    /// After so many bytes of a connection it is reset.
    pub cut_after: Option<u64>,
}

/// How much later bytes arrive. They stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// At least.
    pub base: Duration,
    /// And so much more at most, at random.
    pub jitter: Duration,
}

/// How little arrives at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Bytes per piece.
    pub bytes: usize,
    /// Time between two pieces.
    pub pause: Duration,
}

impl Faults {
    /// Nothing passes in either direction: both sides believe that the connection is there.
    pub fn stalled() -> Self {
        Self::both(Way { stalled: true, ..Way::default() })
    }

    /// Everything takes longer, each way.
    pub fn slow(base: Duration, jitter: Duration) -> Self {
        Self::both(Way { latency: Some(Latency { base, jitter }), ..Way::default() })
    }

    /// Little passes at once, each way.
    pub fn narrow(bytes: usize, pause: Duration) -> Self {
        Self::both(Way { chunks: Some(Chunks { bytes, pause }), ..Way::default() })
    }

    /// Nobody gets in; who is in stays.
    pub fn refusing() -> Self {
        Self { refuse: true, ..Self::default() }
    }

    /// The same on both ways.
    pub fn both(way: Way) -> Self {
        Self { to_target: way, to_client: way, refuse: false }
    }
}
