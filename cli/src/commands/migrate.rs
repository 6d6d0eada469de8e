//! `toolplane migrate`: the database's schema.

use toolplane_control_plane::store::migrate::migrate;
use toolplane_registry::ErrorCode;

use super::folder;
use super::upstream::counted;
use crate::args::MigrateArgs;
use crate::env::Variables;
use crate::exit::Failure;
use crate::output;
use crate::settings::{self, DataDir, Database};

pub(crate) async fn run(args: MigrateArgs, variables: &Variables) -> Result<(), Failure> {
    let MigrateArgs { data_dir, database_url } = args;
    let database = settings::read(variables, |reader| {
        let dir = DataDir::read(reader, data_dir.data_dir.as_deref());
        Database::read(reader, &dir, database_url.as_deref())
    })?;
    if let Database::Sqlite(path) = &database
        && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        folder::make_private(parent)?;
    }
    let report = migrate(database.url().expose()).await.map_err(|error| match error.code() {
        ErrorCode::InvalidInput => Failure::usage(error),
        _ => Failure::failed(error),
    })?;
    let done = match report.applied {
        0 => "nothing to do".to_owned(),
        applied => format!("{} applied", counted(applied, "migration")),
    };
    output::say(&format!("{done}: the database has schema {}", report.schema));
    Ok(())
}
