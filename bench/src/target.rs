//! What a figure is to be, and whether it is.

use std::fmt;

/// A bound and its unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    is_upper: bool,
    bound: f64,
    /// Behind the number, with a space where that is wanted.
    unit: &'static str,
}

impl Target {
    pub(crate) const fn at_most(bound: f64, unit: &'static str) -> Self {
        Self { is_upper: true, bound, unit }
    }

    pub(crate) const fn at_least(bound: f64, unit: &'static str) -> Self {
        Self { is_upper: false, bound, unit }
    }

    /// The target, and whether a figure in its unit meets it; what could not be measured does not.
    pub(crate) fn verdict(&self, figure: f64) -> String {
        let is_met = if self.is_upper { figure <= self.bound } else { figure >= self.bound };
        format!("{self}: {}", if is_met { "met" } else { "**missed**" })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_upper, bound, unit } = self;
        write!(f, "{} {bound}{unit}", if *is_upper { "≤" } else { "≥" })
    }
}

/// Several verdicts in one cell.
pub(crate) fn verdicts<const N: usize>(targets: [(Target, f64); N]) -> String {
    targets.map(|(target, figure)| target.verdict(figure)).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_from_its_own_side_and_never_by_nothing() {
        assert_eq!(Target::at_most(40.0, " µs").verdict(40.0), "≤ 40 µs: met");
        assert_eq!(Target::at_most(40.0, " µs").verdict(40.1), "≤ 40 µs: **missed**");
        assert_eq!(Target::at_least(0.33, "").verdict(f64::NAN), "≥ 0.33: **missed**");
        let both = verdicts([(Target::at_least(1.0, " ×"), 2.0), (Target::at_most(1.0, ""), 2.0)]);
        assert_eq!(both, "≥ 1 ×: met, ≤ 1: **missed**");
    }
}
