//! What happens to tool results that try to steer the model.

/// What the output guard does with a result that holds injection patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardMode {
    /// Nothing; results pass unread.
    #[default]
    Off,
    /// Blanks the patterns.
    Strip,
    /// Puts a visible mark in their place.
    Marker,
    /// Refuses the result.
    Reject,
}

/// Settings of the output guard.
#[derive(Debug, Clone)]
pub struct OutputGuard {
    /// What to do.
    pub mode: GuardMode,
    /// How much of a text is read; the rest passes.
    pub max_scan_bytes: usize,
    /// Globs over tool names whose results pass unread.
    pub trusted_tools: Vec<String>,
}

impl Default for OutputGuard {
    fn default() -> Self {
        Self { mode: GuardMode::default(), max_scan_bytes: 1 << 20, trusted_tools: Vec::new() }
    }
}
