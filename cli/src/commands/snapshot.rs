//! `toolplane snapshot`: the versions of the registry, and whether the fleet serves one.

#[cfg(test)]
mod samples;
mod view;
mod waited;

use prost_types::Duration;
use toolplane_proto::admin as wire;

use self::view::{Content, Diff, Snapshot};
use self::waited::Waited;
use crate::args::{Connection, ReadConnection, SnapshotCommand};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(command: SnapshotCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        SnapshotCommand::List { limit, read } => list(limit, &read, variables).await,
        SnapshotCommand::Get { version, read } => get(version, &read, variables).await,
        SnapshotCommand::Diff { from, to, read } => diff(from, to, &read, variables).await,
        SnapshotCommand::Rollback { version, confirmation, connection } => {
            let question = format!("Bring the tools and the access policy of v{version} back on every node?");
            output::confirm(&question, confirmation.yes)?;
            rollback(version, &connection, variables).await
        }
        SnapshotCommand::Wait { version, share, timeout, read } => {
            let timeout = Some(Duration { seconds: i64::from(timeout), nanos: 0 });
            wait(wire::WaitForVersionRequest { version, share, timeout }, &read, variables).await
        }
    }
}

async fn list(limit: u32, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut snapshots, mut page_token) = (Vec::new(), String::new());
    loop {
        let missing = i32::try_from(limit - snapshots.len()).unwrap_or(PAGE_SIZE);
        let request = wire::ListSnapshotsRequest { page_size: missing.min(PAGE_SIZE), page_token };
        let page = client.snapshots().list_snapshots(request).await?.into_inner();
        snapshots.extend(page.snapshots.into_iter().map(Snapshot::from).take(limit - snapshots.len()));
        page_token = page.next_page_token;
        if page_token.is_empty() || snapshots.len() >= limit {
            return output::data(read.output, &snapshots, |snapshots| view::table(snapshots));
        }
    }
}

async fn get(version: u64, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let content = client.snapshots().get_snapshot(wire::GetSnapshotRequest { version }).await?.into_inner();
    output::data(read.output, &Content::from(content), Content::details)
}

async fn diff(from: u64, to: u64, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let diff = client.snapshots().diff_snapshots(wire::DiffSnapshotsRequest { from, to }).await?.into_inner();
    output::data(read.output, &Diff::from(diff), Diff::table)
}

async fn rollback(version: u64, connection: &Connection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(connection, variables).await?;
    let request = wire::RollbackSnapshotRequest { version };
    let done = client.snapshots().rollback_snapshot(request).await?.into_inner();
    let made = done.version.map_or(0, |version| version.number);
    output::say(&format!("v{made} offers what v{version} did"));
    for domain in &done.frozen {
        output::say(&format!("`{domain}` is frozen: `toolplane upstream resume {domain}` ends that"));
    }
    for domain in &done.missing {
        output::say(&format!("`{domain}` was removed since then and did not come back"));
    }
    Ok(())
}

async fn wait(
    request: wire::WaitForVersionRequest,
    read: &ReadConnection,
    variables: &Variables,
) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let mut answers = client.snapshots().wait_for_version(request).await?.into_inner();
    let mut last = None;
    while let Some(answer) = answers.message().await? {
        let state = Waited::from(answer);
        output::say(&state.line());
        last = Some(state);
    }
    let Some(state) = last else {
        return Err(Failure::failed("the control plane ended the answer before it said anything"));
    };
    output::data(read.output, &state, Waited::table)?;
    state.verdict()
}
