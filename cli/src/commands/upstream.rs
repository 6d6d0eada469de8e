//! `toolplane upstream`: what is registered.

mod oauth;
mod tls;
pub(super) mod view;

use prost_types::FieldMask;
use tonic::{Code, Status};
use toolplane_proto::admin as wire;
use toolplane_proto::sync;
use toolplane_registry::Limits;
use toolplane_registry::tls::Part;

use self::view::{Refreshed, Upstream};
use super::headers;
use crate::args::{
    Clearable, LimitFields, ReadConnection, SchemaPolicy, SessionMode, UpstreamCommand, UpstreamFields,
};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::limits;
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

/// What an update changes: the new values, and which fields they are.
fn update_of(
    domain: String,
    url: Option<String>,
    fields: &UpstreamFields,
    clear: &[Clearable],
    variables: &Variables,
) -> Result<(wire::Upstream, Vec<String>), Failure> {
    let (mut upstream, mut mask) = changes(fields, variables)?;
    upstream.domain = domain;
    if let Some(url) = url {
        upstream.url = url;
        mask.push("url".to_owned());
    }
    for field in clear {
        let paths: &[&str] = match field {
            Clearable::Description => &["description"],
            Clearable::DiscoveryUrl => &["discovery_url"],
            Clearable::Headers => &["headers"],
            Clearable::ForwardHeaders => &["forward_headers"],
            Clearable::Filter => &["filter"],
            Clearable::Limits => &["limits"],
            Clearable::Oauth => &["oauth"],
            Clearable::CaFile => &[Part::Ca.path()],
            Clearable::ClientCert => &[Part::ClientCertificate.path(), Part::ClientKey.path()],
        };
        for path in paths {
            let is_within = |named: &String| named == path || named.split('.').next() == Some(path);
            if mask.iter().any(is_within) {
                return Err(Failure::usage(format!("`{path}` is set and cleared at once")));
            }
            mask.push((*path).to_owned());
        }
    }
    if mask.is_empty() {
        return Err(
            Failure::usage("nothing to change was named").hint("see `toolplane upstream update --help`")
        );
    }
    Ok((upstream, mask))
}

/// The fields that were named, and their names on the wire.
fn changes(fields: &UpstreamFields, variables: &Variables) -> Result<(wire::Upstream, Vec<String>), Failure> {
    let UpstreamFields {
        description,
        discovery_url,
        header_env,
        header_file,
        forward_header,
        allowed,
        denied,
        schema_policy,
        session_mode,
        tls,
        oauth,
        limits,
    } = fields;
    let (mut upstream, mut mask) = (wire::Upstream::default(), Vec::new());
    let mut named = |path: &str| mask.push(path.to_owned());
    if let Some(description) = description {
        upstream.description.clone_from(description);
        named("description");
    }
    if let Some(url) = discovery_url {
        upstream.discovery_url.clone_from(url);
        named("discovery_url");
    }
    let headers = headers::read(header_env, header_file, variables)?;
    if !headers.is_empty() {
        upstream.headers = headers;
        named("headers");
    }
    if !forward_header.is_empty() {
        let globs = if forward_header == &["none"] { Vec::new() } else { forward_header.clone() };
        upstream.forward_headers = Some(wire::HeaderGlobs { globs });
        named("forward_headers");
    }
    if !allowed.is_empty() || !denied.is_empty() {
        let allowed =
            Some(wire::Globs { globs: allowed.clone() }).filter(|allowed| !allowed.globs.is_empty());
        upstream.filter = Some(wire::ToolFilter { allowed, denied: denied.clone() });
        named("filter");
    }
    if let Some(policy) = schema_policy {
        upstream.schema_policy = match policy {
            SchemaPolicy::Accept => wire::SchemaPolicy::Accept,
            SchemaPolicy::Pin => wire::SchemaPolicy::Pin,
        }
        .into();
        named("schema_policy");
    }
    if let Some(mode) = session_mode {
        upstream.session_mode = match mode {
            SessionMode::Isolated => sync::SessionMode::Isolated,
            SessionMode::Shared => sync::SessionMode::Shared,
        }
        .into();
        named("session_mode");
    }
    upstream.tls = super::tls::read(tls, &mut mask)?;
    upstream.oauth = oauth::read(oauth, variables, &mut mask)?;
    upstream.limits = limit_changes(limits, &mut mask)?;
    Ok((upstream, mask))
}

/// The limits that were named; one that is to be the default again is in the mask alone.
fn limit_changes(fields: &LimitFields, mask: &mut Vec<String>) -> Result<Option<sync::Limits>, Failure> {
    let mut wanted = Limits::default();
    for (limit, text) in fields.given() {
        wanted.put(limit, limits::parse(limit, text).map_err(Failure::usage)?);
        mask.push(format!("limits.{}", limit.name()));
    }
    Ok(toolplane_proto::limits::said(&wanted))
}

/// "1 tool", "2 tools".
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::TlsFields;

    #[test]
    fn an_update_names_only_what_changes() {
        let fields = UpstreamFields { denied: vec!["*_delete".into()], ..UpstreamFields::default() };
        let (upstream, mask) = update_of(
            "crm".into(),
            Some("http://new/mcp".into()),
            &fields,
            &[Clearable::Headers],
            &Variables::default(),
        )
        .unwrap();
        assert_eq!(mask, ["filter", "url", "headers"]);
        assert_eq!((upstream.domain.as_str(), upstream.url.as_str()), ("crm", "http://new/mcp"));
        assert!(upstream.headers.is_empty());
    }

    #[test]
    fn single_limits_are_set_and_given_back() {
        let words = |timeout: &str, max_queue: &str| UpstreamFields {
            limits: Box::new(LimitFields {
                timeout: Some(timeout.into()),
                max_queue: Some(max_queue.into()),
                ..LimitFields::default()
            }),
            ..UpstreamFields::default()
        };
        let (upstream, mask) = changes(&words("2.5", "default"), &Variables::default()).unwrap();
        assert_eq!(mask, ["limits.timeout", "limits.max_queue"]);
        let limits = limits::from_wire(upstream.limits.as_ref());
        assert_eq!(limits::set(&limits).collect::<Vec<_>>(), [("timeout", "2.5".to_owned())]);
        assert!(changes(&words("soon", "1"), &Variables::default()).is_err());
        let both = update_of("a".into(), None, &words("1", "1"), &[Clearable::Limits], &Variables::default());
        assert!(both.is_err(), "set and cleared at once");
    }

    #[test]
    fn a_client_certificate_is_cleared_with_its_key_and_authorities_by_themselves() {
        let clear = |clear: &[Clearable]| {
            update_of("a".into(), None, &UpstreamFields::default(), clear, &Variables::default()).unwrap().1
        };
        assert_eq!(clear(&[Clearable::ClientCert]), ["tls.client_certificate", "tls.client_key"]);
        assert_eq!(clear(&[Clearable::CaFile]), ["tls.ca"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "pem").unwrap();
        let tls = TlsFields { client_key: Some(file.path().into()), ..TlsFields::default() };
        let fields = UpstreamFields { tls, ..UpstreamFields::default() };
        let both = [Clearable::ClientCert];
        assert!(update_of("a".into(), None, &fields, &both, &Variables::default()).is_err());
    }

    #[test]
    fn an_empty_or_contradicting_update_is_a_mistake() {
        let none = UpstreamFields::default();
        assert!(update_of("a".into(), None, &none, &[], &Variables::default()).is_err());
        let described = UpstreamFields { description: Some("x".into()), ..none };
        let clear = [Clearable::Description];
        assert!(update_of("a".into(), None, &described, &clear, &Variables::default()).is_err());
    }

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

    #[test]
    fn forwarding_none_is_an_empty_list() {
        let fields = UpstreamFields { forward_header: vec!["none".into()], ..UpstreamFields::default() };
        let (upstream, _) = changes(&fields, &Variables::default()).unwrap();
        assert_eq!(upstream.forward_headers, Some(wire::HeaderGlobs { globs: Vec::new() }));
    }
}
