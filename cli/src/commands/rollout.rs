//! `toolplane rollout`: what changes goes to some nodes first.

mod view;

use toolplane_proto::admin as wire;

use self::view::Status;
use crate::args::{Canary, Connection, ReadConnection, RolloutCommand};
use crate::client::Client;
use crate::env::Variables;
use crate::exit::Failure;
use crate::output;

/// What there is to do while a rollout is under way.
pub(super) const NEXT: &str =
    "next: `toolplane rollout status`, then `toolplane rollout promote` or `toolplane rollout abort`";

/// What a failure in the middle of a rollout leaves behind.
pub(super) const STILL_UNDER_WAY: &str = "a rollout is under way: what was changed is served by its canary nodes alone, and `toolplane apply` goes on \
     where this left off";

pub(crate) async fn run(command: RolloutCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        RolloutCommand::Start { canary, force, dry_run, connection } => {
            let client = Client::connect(&connection, variables).await?;
            start(&client, &canary, force, dry_run).await?;
            output::say(if dry_run { "the rollout would be started; nothing was changed" } else { NEXT });
            Ok(())
        }
        RolloutCommand::Status { read } => status(&read, variables).await,
        RolloutCommand::Promote { confirmation, connection } => {
            let client = Client::connect(&connection, variables).await?;
            let rollout = under_way(&client).await?;
            let question = format!("Give every node what `{}={}` has?", rollout.label, rollout.value);
            output::confirm(&question, confirmation.yes)?;
            promote(&client, rollout).await
        }
        RolloutCommand::Abort { confirmation, connection } => {
            abort(confirmation.yes, &connection, variables).await
        }
    }
}

/// Starts a rollout, or would.
async fn start(client: &Client, canary: &Canary, force: bool, validate_only: bool) -> Result<(), Failure> {
    let Canary { label, value } = canary.clone();
    let request = wire::StartRolloutRequest { label, value, force, validate_only };
    let answer = client.snapshots().start_rollout(request).await;
    let answer = answer.map_err(|status| {
        let nobody_is_there = status.code() == tonic::Code::FailedPrecondition;
        let failure = Failure::from(status);
        if nobody_is_there {
            failure.hint("`toolplane node list` shows the labels; `--force` starts it all the same")
        } else {
            failure
        }
    })?;
    if !validate_only {
        let version = answer.into_inner().version.unwrap_or_default();
        let Canary { label, value } = canary;
        output::say(&format!("nodes without `{label}={value}` are kept at v{} from now on", version.number));
    }
    Ok(())
}

/// Makes sure that a rollout with these canaries is under way. One that is goes on: whoever repeats a command that broke
/// off means the same rollout.
pub(super) async fn ensure(client: &Client, canary: &Canary) -> Result<(), Failure> {
    let state = client.snapshots().get_rollout(wire::GetRolloutRequest {}).await?.into_inner();
    match state.rollout {
        Some(rollout) if rollout.label == canary.label && rollout.value == canary.value => {
            output::say(&format!("the rollout to `{}={}` goes on", rollout.label, rollout.value));
            Ok(())
        }
        // Another one is under way, or none is: the control plane decides, and says which.
        _ => start(client, canary, false, false).await,
    }
}

/// The same, checked only.
pub(super) async fn check(client: &Client, canary: &Canary) -> Result<(), Failure> {
    let state = client.snapshots().get_rollout(wire::GetRolloutRequest {}).await?.into_inner();
    match state.rollout {
        Some(rollout) if rollout.label == canary.label && rollout.value == canary.value => Ok(()),
        _ => start(client, canary, false, true).await,
    }
}

async fn status(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let state = client.snapshots().get_rollout(wire::GetRolloutRequest {}).await?.into_inner();
    output::data(read.output, &Status::from(state), Status::table)
}

/// The rollout that the operator is asked about is the one that ends.
async fn under_way(client: &Client) -> Result<wire::Rollout, Failure> {
    let state = client.snapshots().get_rollout(wire::GetRolloutRequest {}).await?.into_inner();
    state.rollout.ok_or_else(|| Failure::failed("no rollout is under way"))
}

async fn promote(client: &Client, rollout: wire::Rollout) -> Result<(), Failure> {
    let request = wire::PromoteRolloutRequest { etag: rollout.etag, validate_only: false };
    let ended = client.snapshots().promote_rollout(request).await?.into_inner();
    let version = ended.version.unwrap_or_default().number;
    output::say(&format!("v{version} goes to every node: `toolplane snapshot wait` waits for them"));
    Ok(())
}

async fn abort(yes: bool, connection: &Connection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(connection, variables).await?;
    let rollout = under_way(&client).await?;
    let baseline = rollout.baseline.unwrap_or_default().number;
    let question = format!("Take `{}={}` back to v{baseline}?", rollout.label, rollout.value);
    output::confirm(&question, yes)?;
    let request = wire::AbortRolloutRequest { etag: rollout.etag, validate_only: false };
    let ended = client.snapshots().abort_rollout(request).await?.into_inner();
    let version = ended.version.unwrap_or_default().number;
    output::say(&format!("v{version} is what v{baseline} was, on every node"));
    for domain in &ended.frozen {
        output::say(&format!("`{domain}` is frozen: `toolplane upstream resume {domain}` ends that"));
    }
    for domain in &ended.missing {
        output::say(&format!("`{domain}` was removed meanwhile and did not come back"));
    }
    Ok(())
}
