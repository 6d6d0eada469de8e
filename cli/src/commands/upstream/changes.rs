//! What was typed about an upstream, as the control plane is told it: values, and which fields they are.

use toolplane_proto::admin as wire;
use toolplane_proto::sync;
use toolplane_registry::Limits;
use toolplane_registry::tls::Part;

use super::oauth;
use crate::args::{Clearable, LimitFields, SchemaPolicy, SessionMode, UpstreamFields};
use crate::commands::headers;
use crate::commands::tls;
use crate::env::Variables;
use crate::exit::Failure;
use crate::limits;

/// What an update changes: the new values, and which fields they are.
pub(super) fn update_of(
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
pub(super) fn changes(
    fields: &UpstreamFields,
    variables: &Variables,
) -> Result<(wire::Upstream, Vec<String>), Failure> {
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
    upstream.tls = tls::read(tls, &mut mask)?;
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
    fn forwarding_none_is_an_empty_list() {
        let fields = UpstreamFields { forward_header: vec!["none".into()], ..UpstreamFields::default() };
        let (upstream, _) = changes(&fields, &Variables::default()).unwrap();
        assert_eq!(upstream.forward_headers, Some(wire::HeaderGlobs { globs: Vec::new() }));
    }
}
