//! How much a node takes on at once.

/// How much a node takes on at once. What is beyond is refused at once, before it costs memory; probes never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Connections. Those beyond are told so and closed.
    pub max_connections: usize,
    /// Requests in flight.
    pub max_requests: usize,
    /// Bytes of bodies that are held for requests in flight.
    pub max_buffered_bytes: usize,
}

impl Capacity {
    /// How many of the bytes the requests of one connection may hold together, where there are several.
    pub(crate) fn connection_share(&self) -> usize {
        self.max_buffered_bytes / 4
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { max_connections: 8192, max_requests: 4096, max_buffered_bytes: 128 << 20 }
    }
}
