//! The keys of request states: sealed like every other secret, topped up by whatever is committed.

use toolplane_registry::{RequestKey, Secret};
use toolplane_seal::Key;

use crate::ids::{new_id, new_key};
use crate::request_keys::missing;
use crate::store::measured::Transaction;
use crate::store::{Error, Millis, queries};

/// A key as it is stored: its id, sealed, and its last moment.
type Row = (String, Vec<u8>, Millis);

/// Makes the keys that are missing, and forgets those that are over. The head row is locked meanwhile.
pub(super) async fn top_up(transaction: &mut Transaction, key: &Key, at: Millis) -> Result<(), Error> {
    let newest = transaction.fetch::<(Option<Millis>,)>(queries::NEWEST_REQUEST_KEY, &[]).await?.pop();
    let missing = missing(newest.and_then(|(newest,)| newest), at);
    if missing.is_empty() {
        return Ok(());
    }
    transaction.execute(queries::FORGET_REQUEST_KEYS, &[at.into()]).await?;
    for not_after in missing {
        let id = new_id();
        let sealed = key.seal(&new_key(), context(&id).as_bytes());
        let values = [id.into(), sealed.into(), at.into(), not_after.into()];
        transaction.execute(queries::INSERT_REQUEST_KEY, &values).await?;
    }
    Ok(())
}

/// All of them, the one that is over first in front.
pub(super) async fn load(transaction: &mut Transaction, key: &Key) -> Result<Vec<RequestKey>, Error> {
    let rows: Vec<Row> = transaction.fetch(queries::REQUEST_KEYS, &[]).await?;
    rows.into_iter()
        .map(|(id, sealed, not_after)| {
            let opened = key.open(&sealed, context(&id).as_bytes()).map_err(Error::Sealed)?;
            let bytes: [u8; 32] = opened.try_into().map_err(|_| Error::Inconsistent {
                table: "request_keys",
                column: "sealed",
                id: id.clone(),
                reason: "is not a key of 32 bytes".to_owned(),
            })?;
            Ok(RequestKey { id, key: Secret::new(bytes), not_after })
        })
        .collect()
}

fn context(id: &str) -> String {
    format!("request_keys/{id}")
}
