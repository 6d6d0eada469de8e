//! A manifest made of what a control plane holds. Reading it again gives the same; secrets are references.

use std::collections::BTreeMap;

use toolplane_proto::{admin as wire, sync};
use toolplane_registry::oauth::{AuthMethod, Part};
use toolplane_registry::tls;

use super::diff::Held;
use crate::limits;

/// The text of a manifest. What the environment owns is named in comments: it would be applied twice otherwise.
pub(crate) fn manifest(held: &Held) -> String {
    let mut text = String::from("# Made by `toolplane export`, for `toolplane apply -f`.\n");
    let of_environment = |one: &&wire::Upstream| one.owner() == wire::Owner::Environment;
    for upstream in held.upstreams.iter().filter(of_environment) {
        line(
            &mut text,
            &format!("# {} belongs to the environment and is left out.", quoted(&upstream.domain)),
        );
    }
    let own: Vec<_> = held.upstreams.iter().filter(|one| !of_environment(one)).collect();
    line(&mut text, if own.is_empty() { "upstreams: []" } else { "upstreams:" });
    for upstream in own {
        write_upstream(&mut text, upstream);
    }
    let wire::Policy { allow, deny, etag, explicit, code_mode } = &held.policy;
    if *explicit && etag.is_empty() {
        line(&mut text, "# The access policy belongs to the environment and is left out.");
    } else if *explicit {
        let is_empty = allow.is_empty() && deny.is_empty() && code_mode.is_none();
        line(&mut text, if is_empty { "policy: {}" } else { "policy:" });
        rules(&mut text, "allow", allow);
        rules(&mut text, "deny", deny);
        if let Some(sync::CodeModePolicy { deny, deny_destructive }) = code_mode {
            line(&mut text, &format!("  code_mode: {{deny: {deny}, deny_destructive: {deny_destructive}}}"));
        }
    }
    text
}

fn write_upstream(text: &mut String, upstream: &wire::Upstream) {
    let filter = upstream.filter.clone().unwrap_or_default();
    line(text, &format!("  - domain: {}", quoted(&upstream.domain)));
    for (key, value) in [
        ("url", &upstream.url),
        ("discovery_url", &upstream.discovery_url),
        ("description", &upstream.description),
    ] {
        if !value.is_empty() {
            line(text, &format!("    {key}: {}", quoted(value)));
        }
    }
    line(text, if upstream.header_names.is_empty() { "    headers: {}" } else { "    headers:" });
    for name in &upstream.header_names {
        line(text, &format!("      {}: {{unchanged: true}}", quoted(name)));
    }
    write_tls(text, upstream.tls.as_ref());
    write_oauth(text, upstream.oauth.as_ref());
    if let Some(globs) = &upstream.forward_headers {
        line(text, &format!("    forward_headers: {}", list(&globs.globs)));
    }
    if let Some(globs) = &filter.allowed {
        line(text, &format!("    allowed_tools: {}", list(&globs.globs)));
    }
    if !filter.denied.is_empty() {
        line(text, &format!("    denied_tools: {}", list(&filter.denied)));
    }
    if upstream.schema_policy() == wire::SchemaPolicy::Pin {
        line(text, "    schema_policy: pin");
    }
    if upstream.session_mode() == sync::SessionMode::Shared {
        line(text, "    session_mode: shared");
    }
    let limits = limits::from_wire(upstream.limits.as_ref());
    if !limits.is_default() {
        line(text, "    limits:");
        for (name, value) in limits::set(&limits) {
            line(text, &format!("      {name}: {value}"));
        }
    }
}

fn write_tls(text: &mut String, tls: Option<&wire::UpstreamTls>) {
    let has = |part: tls::Part| match part {
        tls::Part::Ca => tls.is_some_and(|tls| !tls.authorities.is_empty()),
        tls::Part::ClientCertificate | tls::Part::ClientKey => tls.is_some_and(|tls| tls.client.is_some()),
    };
    let set: Vec<tls::Part> = tls::Part::ALL.into_iter().filter(|part| has(*part)).collect();
    line(text, if set.is_empty() { "    tls: {}" } else { "    tls:" });
    for part in set {
        line(text, &format!("      {}: {{unchanged: true}}", part.name()));
    }
}

fn write_oauth(text: &mut String, oauth: Option<&wire::ClientCredentials>) {
    let Some(oauth) = oauth else { return line(text, "    oauth: {}") };
    line(text, "    oauth:");
    let method = match oauth.auth_method() {
        wire::ClientAuthentication::SecretPost => AuthMethod::Post.name(),
        wire::ClientAuthentication::SecretBasic | wire::ClientAuthentication::Unspecified => "",
    };
    for (part, value) in [
        (Part::TokenUrl, oauth.token_url.as_str()),
        (Part::ClientId, &oauth.client_id),
        (Part::Scope, &oauth.scope),
        (Part::Resource, &oauth.resource),
        (Part::AuthMethod, method),
    ] {
        if !value.is_empty() {
            line(text, &format!("      {}: {}", part.name(), quoted(value)));
        }
    }
    line(text, &format!("      {}: {{unchanged: true}}", Part::ClientSecret.name()));
}

fn rules(text: &mut String, rule: &str, rules: &BTreeMap<String, wire::GlobList>) {
    if rules.is_empty() {
        return;
    }
    line(text, &format!("  {rule}:"));
    for (domain, globs) in rules {
        line(text, &format!("    {}: {}", quoted(domain), list(&globs.globs)));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn list(globs: &[String]) -> String {
    let items: Vec<String> = globs.iter().map(|glob| quoted(glob)).collect();
    format!("[{}]", items.join(", "))
}

/// As it is where nobody can mistake it for anything else, in double quotes elsewhere.
fn quoted(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if begins_well && text.chars().all(is_word) && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // What YAML takes for a line break or may not hold as it is.
            c if c.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(c) => {
                let escape = format!("\\U{:08x}", u32::from(c));
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
