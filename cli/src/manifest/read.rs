//! From text to a [`Manifest`]: every mistake is collected, so that one run tells all of them.

mod fields;
mod oauth;
mod tls;

use std::collections::BTreeMap;
use std::path::PathBuf;

use toolplane_proto::admin::SchemaPolicy;
use toolplane_proto::sync::SessionMode;
use toolplane_registry::limits::{Limit, Limits};
use toolplane_registry::policy::{AccessPolicy, CodeModePolicy, Globs};
use toolplane_registry::{Domain, Secret};
use toolplane_upstream::guard;

use self::fields::{Fields, name_list, shape};
use super::yaml::{self, Node, Value};
use super::{Header, Manifest, Mistake, Place, Policy, Source, Upstream};

const UPSTREAM_KEYS: [&str; 13] = [
    "domain",
    "url",
    "discovery_url",
    "description",
    "headers",
    "tls",
    "oauth",
    "forward_headers",
    "allowed_tools",
    "denied_tools",
    "schema_policy",
    "session_mode",
    "limits",
];

/// Reads files, named as they are told to people, into one manifest. What could be read is returned beside the
/// mistakes, so that later checks find theirs too.
pub(crate) fn manifest(files: &[(String, String)]) -> (Manifest, Vec<Mistake>) {
    let (mut manifest, mut mistakes) = (Manifest::default(), Vec::new());
    for (index, (file, text)) in files.iter().enumerate() {
        let place = Place { index, file: file.clone(), line: 1 };
        match yaml::documents(text) {
            Ok(documents) => {
                for node in &documents {
                    document(node, &place, &mut manifest, &mut mistakes);
                }
            }
            Err(malformed) => mistakes.push(place.at(malformed.line).mistake(malformed.reason)),
        }
    }
    if manifest.upstreams.is_empty()
        && !manifest.lists_upstreams
        && manifest.policy.is_none()
        && mistakes.is_empty()
    {
        let file = files.first().map(|(file, _)| file.clone()).unwrap_or_default();
        let place = Place { index: 0, file, line: 1 };
        mistakes.push(place.mistake("holds neither `upstreams` nor `policy`"));
    }
    (manifest, mistakes)
}

fn document(node: &Node, file: &Place, manifest: &mut Manifest, mistakes: &mut Vec<Mistake>) {
    if node.value == Value::Null {
        return;
    }
    let mut fields = Fields::new(node, file, "the document", &["upstreams", "policy"], mistakes);
    if let Some(node) = fields.take("upstreams") {
        manifest.lists_upstreams = true;
        for item in fields.list("upstreams", node) {
            let Some(upstream) = upstream(item, file, fields.mistakes) else { continue };
            let twin = manifest.upstreams.iter().find(|other| other.domain == upstream.domain);
            if let Some(twin) = twin {
                let reason =
                    format!("upstream `{}` is described already, at {}", upstream.domain, twin.place);
                fields.mistakes.push(upstream.place.mistake(reason));
            } else {
                manifest.upstreams.push(upstream);
            }
        }
    }
    if let Some(node) = fields.take("policy") {
        let place = file.at(node.line);
        if let Some(other) = &manifest.policy {
            fields.mistakes.push(place.mistake(format!("the policy is given already, at {}", other.place)));
        } else {
            manifest.policy = Some(policy(node, place, fields.mistakes));
        }
    }
}

/// One upstream; nothing where it has no name to go by.
fn upstream(node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Option<Upstream> {
    let place = file.at(node.line);
    let mut fields = Fields::new(node, file, "an upstream", &UPSTREAM_KEYS, mistakes);
    let domain = fields.required("domain").and_then(|(text, line)| match Domain::parse(&text) {
        Ok(domain) => Some(domain.as_str().to_owned()),
        Err(error) => {
            fields.wrong(line, format!("`domain`: {error}"));
            None
        }
    });
    let url = fields.required("url");
    let discovery_url = fields.text("discovery_url");
    for (key, url) in [("url", &url), ("discovery_url", &discovery_url)] {
        let Some((url, line)) = url else { continue };
        // Whether private addresses are acceptable is for the control plane to say.
        if let Err(rejection) = guard::check_url(url, &guard::Policy { allow_private: true }) {
            fields.wrong(*line, format!("`{key}`: {}", rejection.reason));
        }
    }
    let text = |text: Option<(String, usize)>| text.map(|(text, _)| text).unwrap_or_default();
    let description = text(fields.text("description"));
    let forward_headers = fields.globs("forward_headers");
    let allowed_tools = fields.globs("allowed_tools");
    let denied_tools = fields.globs("denied_tools").unwrap_or_default();
    let schema_policy =
        fields.choice("schema_policy", [("accept", SchemaPolicy::Accept), ("pin", SchemaPolicy::Pin)]);
    let session_mode =
        fields.choice("session_mode", [("isolated", SessionMode::Isolated), ("shared", SessionMode::Shared)]);
    let limits = fields.take("limits").map(|node| limits(node, file, fields.mistakes)).unwrap_or_default();
    let headers = fields.take("headers").map(|node| headers(node, file, fields.mistakes));
    let tls = fields.take("tls").map(|node| tls::tls(node, file, fields.mistakes));
    let oauth = fields.take("oauth").map(|node| oauth::oauth(node, file, fields.mistakes));
    Some(Upstream {
        place,
        domain: domain?,
        url: text(url),
        discovery_url: text(discovery_url),
        description,
        headers,
        tls,
        oauth,
        forward_headers,
        allowed_tools,
        denied_tools,
        schema_policy,
        session_mode,
        limits,
    })
}

fn limits(node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Limits {
    let mut limits = Limits::default();
    if node.value == Value::Null {
        return limits;
    }
    let known = Limit::ALL.map(Limit::name);
    let mut fields = Fields::new(node, file, "`limits`", &known, mistakes);
    for limit in Limit::ALL {
        let Some(node) = fields.take(limit.name()) else { continue };
        match &node.value {
            Value::Null => {}
            Value::Bare(text) | Value::Text(text) => match crate::limits::parse(limit, text) {
                Ok(value) => limits.put(limit, value),
                Err(reason) => fields.wrong(node.line, reason),
            },
            _ => fields.wrong(node.line, shape(&format!("`{}`", limit.name()), "a number", node)),
        }
    }
    limits
}

fn headers(node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Vec<Header> {
    let Value::Map(entries) = &node.value else {
        mistakes.push(file.at(node.line).mistake(shape("`headers`", "a map from names to values", node)));
        return Vec::new();
    };
    let mut headers: Vec<Header> = Vec::new();
    for (key, node) in entries {
        let (place, name) = (file.at(key.line), key.name.trim().to_ascii_lowercase());
        if let Some(twin) = headers.iter().find(|header| header.name == name) {
            let reason = format!("header `{name}` is given already, in line {}", twin.place.line);
            mistakes.push(place.mistake(reason));
        } else if let Some(value) = source(&format!("header `{name}`"), node, file, mistakes) {
            headers.push(Header { place, name, value });
        }
    }
    headers
}

/// Where a value comes from. It is never repeated in a mistake: it may be a secret.
fn source(what: &str, node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Option<Source> {
    let wrong = |mistakes: &mut Vec<Mistake>, reason: &str| {
        mistakes.push(file.at(node.line).mistake(format!("{what}: {reason}")));
        None
    };
    match &node.value {
        Value::Null => return Some(Source::Unchanged),
        Value::Text(text) | Value::Bare(text) => return Some(Source::Given(Secret::new(text.clone()))),
        Value::Map(entries) if entries.len() == 1 => {}
        Value::Map(_) | Value::List(_) => {
            return wrong(mistakes, "takes one of `{env: NAME}`, `{file: PATH}` and `{unchanged: true}`");
        }
    }
    let mut fields = Fields::new(node, file, what, &["env", "file", "unchanged"], mistakes);
    if let Some((variable, _)) = fields.text("env") {
        return Some(Source::Env(variable));
    }
    if let Some((path, _)) = fields.text("file") {
        return Some(Source::File(PathBuf::from(path)));
    }
    match fields.take("unchanged").map(|node| &node.value) {
        Some(Value::Bare(text)) if text == "true" => Some(Source::Unchanged),
        Some(_) => wrong(fields.mistakes, "`unchanged` is `true` or left out"),
        // What else there is was told already.
        None => None,
    }
}

fn policy(node: &Node, place: Place, mistakes: &mut Vec<Mistake>) -> Policy {
    if node.value == Value::Null {
        return Policy { place, access: None };
    }
    let mut fields = Fields::new(node, &place, "`policy`", &["allow", "deny", "code_mode"], mistakes);
    let mut rules = |key: &str| -> BTreeMap<String, Vec<String>> {
        let Some(node) = fields.take(key) else { return BTreeMap::new() };
        let Value::Map(entries) = &node.value else {
            fields.wrong(node.line, shape(&format!("`{key}`"), "a map from domains to globs", node));
            return BTreeMap::new();
        };
        let mut rules = BTreeMap::new();
        for (domain, globs) in entries {
            let what = format!("`{key}` of `{}`", domain.name);
            let globs = checked_globs(&what, globs, &place, fields.mistakes);
            if rules.insert(domain.name.clone(), globs).is_some() {
                fields.wrong(domain.line, format!("{what} is given twice"));
            }
        }
        rules
    };
    let (allow, deny) = (rules("allow"), rules("deny"));
    let code_mode = fields.take("code_mode").map(|node| code_mode(node, &place, fields.mistakes));
    let access = AccessPolicy { allow, deny, code_mode: code_mode.unwrap_or_default() };
    Policy { place, access: Some(access) }
}

fn code_mode(node: &Node, place: &Place, mistakes: &mut Vec<Mistake>) -> CodeModePolicy {
    let mut fields = Fields::new(node, place, "`code_mode`", &["deny", "deny_destructive"], mistakes);
    let mut flag = |key: &str| match fields.take(key).map(|node| (&node.value, node.line)) {
        None => false,
        Some((Value::Bare(text), _)) if text == "true" || text == "false" => text == "true",
        Some((_, line)) => {
            fields.wrong(line, format!("`{key}` is `true` or `false`"));
            false
        }
    };
    CodeModePolicy { deny: flag("deny"), deny_destructive: flag("deny_destructive") }
}

fn checked_globs(what: &str, node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Vec<String> {
    let globs = name_list(what, node, file, mistakes);
    if let Err(rejection) = Globs::compile(&globs) {
        mistakes.push(file.at(node.line).mistake(format!("{what}: {}", rejection.reason)));
    }
    globs
}

#[cfg(test)]
mod tests;
