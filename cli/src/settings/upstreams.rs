//! What the environment declares about upstreams: addresses, descriptions, headers and the access policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toolplane_control_plane::environment::Environment;
use toolplane_registry::limits::{Limit, Limits};
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::{Header, Owner, SchemaPolicy, SessionMode, Upstream};
use toolplane_registry::{Domain, Secret};
use toolplane_upstream::guard;

use super::Reader;
use super::reader::{one_of, quoted};
use crate::env::{self, Variable};

/// The words for a schema policy.
pub(crate) const SCHEMA_POLICIES: [(&str, SchemaPolicy); 2] =
    [("accept", SchemaPolicy::Accept), ("pin", SchemaPolicy::Pin)];
const SESSION_MODES: [(&str, SessionMode); 2] =
    [("isolated", SessionMode::Isolated), ("shared", SessionMode::Shared)];
const KEYS: [&str; 10] = [
    "url",
    "allowed_tools",
    "denied_tools",
    "discovery_url",
    "description",
    "headers",
    "forward_headers",
    "schema_policy",
    "session_mode",
    "limits",
];

/// Reads everything that the environment declares, and checks it by the rules of admission.
pub(crate) fn read(reader: &mut Reader<'_>, policy: SchemaPolicy, guard: &guard::Policy) -> Environment {
    let environment = Environment {
        upstreams: read_upstreams(reader, policy),
        descriptions: read_descriptions(reader),
        headers: read_headers(reader),
        policy: reader.parsed(&env::GATEWAY_ACCESS_POLICY, |text| {
            serde_json::from_str::<AccessPolicy>(text)
                .map_err(|error| format!("is not an access policy: {error}"))
        }),
    };
    check(reader, &environment, guard);
    environment
}

/// Each part is checked on its own, so that a mistake is filed under the variable it is in.
fn check(reader: &mut Reader<'_>, environment: &Environment, guard: &guard::Policy) {
    let Environment { upstreams, descriptions: _, headers, policy } = environment;
    for upstream in upstreams {
        let part = Environment { upstreams: vec![upstream.clone()], ..Environment::default() };
        for rejection in part.validate(guard) {
            reader.mistake(&env::GATEWAY_UPSTREAMS, format!("`{}`: {rejection}", upstream.domain));
        }
    }
    let parts = [
        (&env::GATEWAY_UPSTREAM_HEADERS, Environment { headers: headers.clone(), ..Environment::default() }),
        (&env::GATEWAY_ACCESS_POLICY, Environment { policy: policy.clone(), ..Environment::default() }),
    ];
    for (variable, part) in parts {
        for rejection in part.validate(guard) {
            reader.mistake(variable, rejection.to_string());
        }
    }
}

// ---- GATEWAY_UPSTREAMS ----

fn read_upstreams(reader: &mut Reader<'_>, policy: SchemaPolicy) -> Vec<Upstream> {
    let mut upstreams: Vec<Upstream> = Vec::new();
    for (name, value) in object(reader, &env::GATEWAY_UPSTREAMS) {
        match upstream(&name, &value, policy) {
            Ok(upstream) if upstreams.iter().any(|other| other.domain == upstream.domain) => {
                reader.mistake(&env::GATEWAY_UPSTREAMS, format!("`{}` is named twice", upstream.domain));
            }
            Ok(upstream) => upstreams.push(upstream),
            Err(reasons) => {
                for reason in reasons {
                    reader.mistake(&env::GATEWAY_UPSTREAMS, format!("{}: {reason}", quoted(&name)));
                }
            }
        }
    }
    upstreams
}

fn upstream(name: &str, value: &Value, policy: SchemaPolicy) -> Result<Upstream, Vec<String>> {
    let domain = Domain::parse(name).map_err(|error| vec![error.to_string()])?;
    let mut upstream =
        Upstream { owner: Owner::Environment, schema_policy: policy, ..Upstream::new(domain, String::new()) };
    let fields = match value {
        Value::String(url) => {
            upstream.url.clone_from(url);
            return Ok(upstream);
        }
        Value::Object(fields) => fields,
        _ => return Err(vec!["is neither a URL nor an object with a `url`".to_owned()]),
    };
    let mut wrong: Vec<String> =
        fields.keys().filter(|key| !KEYS.contains(&key.as_str())).map(|key| unknown(key)).collect();
    let mut note = |outcome: Result<(), String>| wrong.extend(outcome.err());
    note(match fields.get("url") {
        Some(Value::String(url)) => {
            upstream.url.clone_from(url);
            Ok(())
        }
        _ => Err("`url` is missing or no text".to_owned()),
    });
    note(field(fields, "discovery_url", text).map(|found| upstream.discovery_url = found));
    note(field(fields, "description", text).map(|found| upstream.description = found.unwrap_or_default()));
    note(field(fields, "allowed_tools", texts).map(|found| upstream.filter.allowed = found));
    note(
        field(fields, "denied_tools", texts).map(|found| upstream.filter.denied = found.unwrap_or_default()),
    );
    note(field(fields, "forward_headers", texts).map(|found| upstream.forward_headers = found));
    note(field(fields, "headers", headers).map(|found| upstream.headers = found.unwrap_or_default()));
    note(field(fields, "schema_policy", |value| one_of(&text(value)?, &SCHEMA_POLICIES)).map(|found| {
        upstream.schema_policy = found.unwrap_or(policy);
    }));
    note(field(fields, "session_mode", |value| one_of(&text(value)?, &SESSION_MODES)).map(|found| {
        upstream.session_mode = found.unwrap_or_default();
    }));
    note(field(fields, "limits", limits).map(|found| upstream.limits = found.unwrap_or_default()));
    if wrong.is_empty() { Ok(upstream) } else { Err(wrong) }
}

/// Times in seconds, like everything else that the environment says.
fn limits(value: &Value) -> Result<Limits, String> {
    let fields = value.as_object().ok_or_else(|| "is not an object of limits".to_owned())?;
    let mut limits = Limits::default();
    for (name, value) in fields {
        let limit = Limit::named(name).ok_or_else(|| format!("has no limit {}", quoted(name)))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        limits.put(limit, crate::limits::parse(limit, &text)?);
    }
    Ok(limits)
}

fn unknown(key: &str) -> String {
    let known: Vec<String> = KEYS.iter().map(|key| format!("`{key}`")).collect();
    format!("key {} is not known; the keys are {}", quoted(key), known.join(", "))
}

// ---- the other maps ----

fn read_descriptions(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut descriptions = BTreeMap::new();
    for (domain, value) in object(reader, &env::GATEWAY_DOMAIN_DESCRIPTIONS) {
        match text(&value) {
            Ok(text) => drop(descriptions.insert(domain, text)),
            Err(reason) => {
                reader.mistake(&env::GATEWAY_DOMAIN_DESCRIPTIONS, format!("{} {reason}", quoted(&domain)));
            }
        }
    }
    descriptions
}

fn read_headers(reader: &mut Reader<'_>) -> BTreeMap<String, Vec<Header>> {
    let mut all = BTreeMap::new();
    for (domain, value) in object(reader, &env::GATEWAY_UPSTREAM_HEADERS) {
        match headers(&value) {
            Ok(headers) => drop(all.insert(domain, headers)),
            Err(reason) => {
                reader.mistake(&env::GATEWAY_UPSTREAM_HEADERS, format!("{} {reason}", quoted(&domain)));
            }
        }
    }
    all
}

// ---- JSON ----

fn object(reader: &mut Reader<'_>, variable: &Variable) -> Map<String, Value> {
    reader
        .parsed(variable, |text| match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err("is not a JSON object".to_owned()),
            // The position helps; the text itself may hold secrets.
            Err(error) => Err(format!("is not JSON: line {}, column {}", error.line(), error.column())),
        })
        .unwrap_or_default()
}

/// A field that may be absent or null; the reason names it.
fn field<T>(
    fields: &Map<String, Value>,
    key: &str,
    parse: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => parse(value).map(Some).map_err(|reason| format!("`{key}` {reason}")),
    }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "is not a text".to_owned())
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    let texts = value.as_array().and_then(|items| items.iter().map(|item| text(item).ok()).collect());
    texts.ok_or_else(|| "is not a list of texts".to_owned())
}

/// Names in lower case; admission looks at the rest.
fn headers(value: &Value) -> Result<Vec<Header>, String> {
    let fields = value.as_object().ok_or_else(|| "is not an object of headers".to_owned())?;
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in fields {
        let value = text(value).map_err(|reason| format!("header {} {reason}", quoted(name)))?;
        let name = name.trim().to_ascii_lowercase();
        if headers.iter().any(|header| header.name == name) {
            return Err(format!("header {} is named twice", quoted(&name)));
        }
        headers.push(Header { name, value: Secret::new(value) });
    }
    Ok(headers)
}
