//! Limits of an upstream as a column: a JSON object of what was set.

use std::collections::BTreeMap;

use toolplane_registry::limits::{Limit, Limits};

use super::Cell;
use crate::store::Error;

/// Absent where nothing is set.
pub(super) fn json(limits: &Limits) -> Option<String> {
    let set: BTreeMap<&str, u64> =
        Limit::ALL.into_iter().filter_map(|limit| Some((limit.name(), limits.get(limit)?))).collect();
    (!set.is_empty()).then(|| serde_json::json!(set).to_string())
}

/// A limit that a later release has and this one does not know is left out: this one cannot keep it anyway.
pub(super) fn read(text: Option<&str>, cell: Cell<'_>) -> Result<Limits, Error> {
    let set: BTreeMap<String, u64> = text.map(|text| cell.json(text)).transpose()?.unwrap_or_default();
    let mut limits = Limits::default();
    for (name, value) in set {
        if let Some(limit) = Limit::named(&name) {
            limits.put(limit, Some(value));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CELL: Cell<'_> = Cell { table: "upstreams", column: "limits", id: "a" };

    #[test]
    fn only_what_is_set_is_kept_and_what_is_not_known_is_left_out() {
        let limits = Limits {
            timeout: Some(Duration::from_millis(2500)),
            breaker_failures: Some(0),
            ..Limits::default()
        };
        let text = json(&limits).unwrap();
        assert_eq!(text, r#"{"breaker_failures":0,"timeout":2500}"#);
        assert_eq!(read(Some(&text), CELL).unwrap(), limits);
        assert_eq!((json(&Limits::default()), read(None, CELL).unwrap()), (None, Limits::default()));
        let newer = r#"{"patience":5,"max_queue":3}"#;
        assert_eq!(read(Some(newer), CELL).unwrap(), Limits { max_queue: Some(3), ..Limits::default() });
        assert!(read(Some(r#"{"timeout":-1}"#), CELL).is_err());
    }
}
