//! `toolplane upstream`: what is registered.

mod changes;
mod oauth;
mod tls;
pub(super) mod view;

use prost_types::FieldMask;
use tonic::{Code, Status};
use toolplane_proto::admin as wire;

use self::changes::{changes, update_of};
use self::view::{Refreshed, Upstream};
use crate::args::{ReadConnection, UpstreamCommand, UpstreamFields};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(command: UpstreamCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        UpstreamCommand::Add { domain, url, fields, allow_unreachable, dry_run, read } => {
            let (mut upstream, _) = changes(&fields, variables)?;
            (upstream.domain, upstream.url) = (domain, url);
            let request = wire::CreateUpstreamRequest {
                upstream: Some(upstream),
                validate_only: dry_run,
                allow_unreachable,
            };
            add(request, &read, variables).await
        }
        UpstreamCommand::Get { domain, read } => get(domain, &read, variables).await,
        UpstreamCommand::List { read } => list(&read, variables).await,
        UpstreamCommand::Update { domain, url, fields, clear, allow_unreachable, dry_run, read } => {
            let (upstream, mask) = update_of(domain, url, &fields, &clear, variables)?;
            let request = wire::UpdateUpstreamRequest {
                upstream: Some(upstream),
                update_mask: Some(FieldMask { paths: mask }),
                validate_only: dry_run,
                allow_unreachable,
            };
            update(request, &fields, &read, variables).await
        }
        UpstreamCommand::Remove { domain, confirmation, connection } => {
            output::confirm(&format!("Remove upstream `{domain}` and its tools?"), confirmation.yes)?;
            let client = Client::connect(&connection, variables).await?;
            let request = wire::DeleteUpstreamRequest { domain: domain.clone(), etag: String::new() };
            let removed = client.upstreams().delete_upstream(request).await?.into_inner().tools_removed;
            output::say(&format!("removed `{domain}` and {}", counted(removed.len(), "tool")));
            Ok(())
        }
        UpstreamCommand::Accept { domain, digest, connection } => {
            let client = Client::connect(&connection, variables).await?;
            let request = wire::AcceptSchemaRequest { domain: domain.clone(), digest };
            client.upstreams().accept_schema(request).await.map_err(not_accepted)?;
            output::say(&format!("accepted what `{domain}` lists"));
            Ok(())
        }
        UpstreamCommand::Resume { domain, read } => resume(domain, &read, variables).await,
        UpstreamCommand::Refresh { domains, read } => refresh(domains, &read, variables).await,
    }
}

async fn add(
    request: wire::CreateUpstreamRequest,
    read: &ReadConnection,
    variables: &Variables,
) -> Result<(), Failure> {
    let dry_run = request.validate_only;
    let client = Client::connect(&read.connection, variables).await?;
    let answer = client.upstreams().create_upstream(request).await?.into_inner();
    let upstream = Upstream::from(answer.upstream.unwrap_or_default());
    let done = if dry_run { "would register" } else { "registered" };
    let found = match upstream.why_unlisted().filter(|_| answer.tools_added.is_empty()) {
        Some(reason) => format!(", not listed yet: {reason}"),
        None => format!(" with {}", counted(answer.tools_added.len(), "tool")),
    };
    output::say(&format!("{done} `{}`{found}", upstream.domain));
    output::data(read.output, &upstream, Upstream::details)
}

async fn get(domain: String, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let upstream = client.upstreams().get_upstream(wire::GetUpstreamRequest { domain }).await?.into_inner();
    output::data(read.output, &Upstream::from(upstream), Upstream::details)
}

async fn list(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let (mut upstreams, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListUpstreamsRequest { page_size: PAGE_SIZE, page_token };
        let page = client.upstreams().list_upstreams(request).await?.into_inner();
        upstreams.extend(page.upstreams.into_iter().map(Upstream::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return output::data(read.output, &upstreams, |upstreams| view::table(upstreams));
        }
    }
}

async fn update(
    mut request: wire::UpdateUpstreamRequest,
    fields: &UpstreamFields,
    read: &ReadConnection,
    variables: &Variables,
) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    if let Some(upstream) =
        request.upstream.as_mut().filter(|_| fields.allowed.is_empty() != fields.denied.is_empty())
    {
        // Half of the filter was named; the other half stays as it is, and nobody may change it meanwhile.
        let request = wire::GetUpstreamRequest { domain: upstream.domain.clone() };
        let current = client.upstreams().get_upstream(request).await?.into_inner();
        let held = current.filter.unwrap_or_default();
        let filter = upstream.filter.get_or_insert_default();
        if fields.allowed.is_empty() {
            filter.allowed = held.allowed;
        } else {
            filter.denied = held.denied;
        }
        upstream.etag = current.etag;
    }
    let dry_run = request.validate_only;
    let answer = client.upstreams().update_upstream(request).await?.into_inner();
    let upstream = Upstream::from(answer.upstream.unwrap_or_default());
    output::say(&format!("{} `{}`", if dry_run { "would update" } else { "updated" }, upstream.domain));
    output::data(read.output, &upstream, Upstream::details)
}

async fn resume(domain: String, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let request = wire::ResumeUpstreamRequest { domain };
    let answer = client.upstreams().resume_upstream(request).await?.into_inner();
    let upstream = Upstream::from(answer.upstream.unwrap_or_default());
    output::say(&format!("`{}` is refreshed again", upstream.domain));
    output::data(read.output, &upstream, Upstream::details)?;
    match answer.refreshed.map(|refreshed| refreshed.error).filter(|error| !error.is_empty()) {
        None => Ok(()),
        Some(error) => Err(Failure::failed(format!("its tools could not be listed: {error}"))
            .hint("they stay as they were until the next refresh")),
    }
}

async fn refresh(domains: Vec<String>, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let request = wire::RefreshUpstreamsRequest { domains };
    let answer = client.upstreams().refresh_upstreams(request).await?.into_inner();
    let refreshed: Vec<Refreshed> = answer.refreshed.into_iter().map(Refreshed::from).collect();
    output::data(read.output, &refreshed, |refreshed| view::refreshed(refreshed))?;
    for one in &refreshed {
        if let (domain, Some(version)) = (&one.domain, one.frozen_at_version) {
            output::say(&format!(
                "`{domain}` is frozen at v{version} and was not asked: `toolplane upstream resume {domain}` ends that"
            ));
        }
    }
    not_listed(&refreshed).map_or(Ok(()), Err)
}

/// Says that some could not be listed, if any.
fn not_listed(refreshed: &[Refreshed]) -> Option<Failure> {
    let failed: Vec<&Refreshed> = refreshed.iter().filter(|one| one.error.is_some()).collect();
    if failed.is_empty() {
        return None;
    }
    let failure = Failure::failed(format!("{} could not be listed", counted(failed.len(), "upstream")));
    let serves_on = failed.iter().any(|one| one.tool_count > 0);
    Some(if serves_on { failure.hint("tools listed earlier stay as they were") } else { failure })
}

/// Where the listing is another one by now, it has to be looked at again.
fn not_accepted(status: Status) -> Failure {
    let is_another = status.code() == Code::Aborted;
    let failure = Failure::from(status);
    if is_another {
        failure.hint("`toolplane upstream get` shows the digest of what is listed")
    } else {
        failure
    }
}

/// "1 tool", "2 tools".
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tools_that_there_were_stay_as_they_were() {
        let one = |tool_count, error: &str| {
            Refreshed::from(wire::RefreshedDomain {
                tool_count,
                error: error.into(),
                ..wire::RefreshedDomain::default()
            })
        };
        assert!(not_listed(&[one(0, ""), one(3, "")]).is_none());
        let never_listed = not_listed(&[one(3, ""), one(0, "refused")]).unwrap();
        assert_eq!((never_listed.messages.len(), never_listed.hints.len()), (1, 0));
        assert_eq!(not_listed(&[one(3, "refused"), one(0, "refused")]).unwrap().hints.len(), 1);
    }

    #[test]
    fn an_upstream_that_is_frozen_did_not_fail() {
        let frozen = Refreshed::from(wire::RefreshedDomain {
            error: "it is frozen at v7".into(),
            frozen_at_version: 7,
            ..wire::RefreshedDomain::default()
        });
        assert!(not_listed(&[frozen]).is_none());
    }
}
