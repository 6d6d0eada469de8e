//! What result codes of SQLite mean to us: <https://www.sqlite.org/rescode.html>.

use sqlx::error::DatabaseError;

use crate::store::error::Kind;

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;

pub(super) fn kind(error: &dyn DatabaseError) -> Kind {
    // Extended codes keep the primary one in their lowest byte.
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff);
    match code {
        Some(CONSTRAINT) => Kind::Constraint,
        Some(BUSY | LOCKED | READONLY | IOERR | FULL | CANTOPEN) => Kind::Transient,
        _ => Kind::Other,
    }
}
