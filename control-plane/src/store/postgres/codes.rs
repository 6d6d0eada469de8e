//! What SQLSTATEs mean to us: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use sqlx::error::DatabaseError;

use crate::store::error::Kind;

pub(super) fn kind(error: &dyn DatabaseError) -> Kind {
    error.code().map_or(Kind::Other, |state| of_state(&state))
}

fn of_state(state: &str) -> Kind {
    match (state.get(..2), state) {
        // Integrity constraint violated; a value that the column's type cannot hold.
        (Some("22" | "23"), _) => Kind::Constraint,
        // Connection lost; rolled back in favor of another transaction; out of disk, memory or connections;
        // canceled, or the server is starting up or shutting down.
        // And 25006: the server has become a standby, as it does while somebody fails over; 25P03: we took too long
        // between two steps of a transaction.
        (Some("08" | "40" | "53" | "57"), _) | (_, "25006" | "25P03") => Kind::Transient,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_sorted_by_what_a_caller_can_do() {
        for (state, kind) in [
            ("23505", Kind::Constraint),
            ("22021", Kind::Constraint),
            ("57P01", Kind::Transient),
            ("40P01", Kind::Transient),
            ("53300", Kind::Transient),
            ("25006", Kind::Transient),
            ("25P03", Kind::Transient),
            ("42P01", Kind::Other),
            ("XX000", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(of_state(state), kind, "{state}");
        }
    }
}
