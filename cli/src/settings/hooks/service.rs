//! Services that a node asks, as they are written in a list of addresses or in JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toolplane_data_plane::Address;
use toolplane_data_plane::hooks::{Configured, Phase, Place, Rules, Service};

use super::super::Reader;
use super::super::reader::{one_of, quoted};
use super::rules::{MAX_IN_FLIGHT, WORDS, phase, rules, seconds};
use crate::env;

/// The least and the most of bytes that an answer may have.
const ANSWER_BYTES: (usize, usize) = (1 << 10, 1 << 30);

/// A service, as it is written in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    name: Option<String>,
    deadline: Option<f64>,
    #[serde(default)]
    deadlines: BTreeMap<String, f64>,
    on_failure: Option<OnFailures>,
    max_in_flight: Option<usize>,
    headers: Option<Vec<String>>,
    max_answer_bytes: Option<usize>,
    ca_file: Option<PathBuf>,
    client_cert_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
    #[serde(default)]
    allow_plain: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OnFailures {
    All(String),
    Each(BTreeMap<String, String>),
}

/// The services of a node, in their order.
pub(crate) fn services(reader: &mut Reader<'_>) -> Vec<Configured> {
    let rules = rules(reader);
    let text = reader.text(&env::HOOKS).map(str::trim).unwrap_or_default();
    let written: Result<Vec<Written>, String> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| format!("is no JSON list of hook services: {error}"))
    } else {
        let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
        Ok(urls.map(|url| Written { url: url.to_owned(), ..Written::default() }).collect())
    };
    let configured = written.and_then(|written| {
        let services = written.into_iter().enumerate();
        services.map(|(place, written)| service(written, place, &rules)).collect()
    });
    configured.unwrap_or_else(|reason| {
        reader.mistake(&env::HOOKS, reason);
        Vec::new()
    })
}

fn service(written: Written, place: usize, defaults: &Rules) -> Result<Configured, String> {
    let address = Address::parse(&written.url)
        .map_err(|rejection| format!("{} {}", quoted(&written.url), rejection.reason))?;
    let mut rules = defaults.clone();
    if let Some(number) = written.deadline {
        rules.deadline = seconds(number)?;
    }
    for (name, number) in &written.deadlines {
        rules.deadlines.insert(phase(name)?, seconds(*number)?);
    }
    match written.on_failure {
        None => {}
        Some(OnFailures::All(word)) => {
            let word = one_of(&word, &WORDS)?;
            rules.on_failure = Phase::ALL.into_iter().map(|phase| (phase, word)).collect();
        }
        Some(OnFailures::Each(each)) => {
            for (name, word) in &each {
                rules.on_failure.insert(phase(name)?, one_of(word, &WORDS)?);
            }
        }
    }
    let (places, bytes) = (written.max_in_flight, written.max_answer_bytes);
    rules.max_in_flight = within("max_in_flight", places, MAX_IN_FLIGHT)?.unwrap_or(rules.max_in_flight);
    let usual = Service::at(address);
    let max_answer_bytes = within("max_answer_bytes", bytes, ANSWER_BYTES)?.unwrap_or(usual.max_answer_bytes);
    let service = Service {
        headers: written.headers,
        allow_plain: written.allow_plain,
        max_answer_bytes,
        tls: toolplane_tls::client::Files {
            ca: written.ca_file,
            certificate: written.client_cert_file,
            key: written.client_key_file,
        },
        ..usual
    };
    let name = written.name.unwrap_or_else(|| format!("hooks-{}", place + 1));
    Ok(Configured { name, place: Place::Service(service), rules })
}

fn within(name: &str, number: Option<usize>, (least, most): (usize, usize)) -> Result<Option<usize>, String> {
    match number {
        Some(number) if !(least..=most).contains(&number) => {
            Err(format!("`{name}` is {number}, and has to be between {least} and {most}"))
        }
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use toolplane_data_plane::hooks::OnFailure;

    use super::super::tests::read;
    use super::*;

    #[test]
    fn services_are_urls_or_say_more() {
        let (found, mistakes) =
            read(&[("TOOLPLANE_HOOKS", "unix:///run/h.sock, https://hooks.example:7500")].into(), services);
        assert_eq!((found.len(), mistakes.as_str()), (2, ""));
        let json = r#"[{"url":"http://127.0.0.1:1","name":"authz","deadline":0.5,"deadlines":{"filter_tools":2},
            "on_failure":{"after_execute":"fail_open"},"max_in_flight":4,"headers":["authorization"]}]"#;
        let (found, mistakes) = read(
            &[("TOOLPLANE_HOOKS", json), ("TOOLPLANE_HOOKS_ON_FAILURE", "transform_result=fail_open")].into(),
            services,
        );
        let [one] = &found[..] else { panic!("{mistakes}") };
        assert_eq!((one.name.as_str(), one.rules.max_in_flight), ("authz", 4));
        assert_eq!(one.rules.deadline(Phase::FilterTools), Duration::from_secs(2));
        assert_eq!(one.rules.deadline(Phase::Authenticate), Duration::from_millis(500));
        assert_eq!(one.rules.on_failure(Phase::AfterExecute), OnFailure::FailOpen);
        assert_eq!(one.rules.on_failure(Phase::TransformResult), OnFailure::FailOpen);
        assert_eq!(one.rules.on_failure(Phase::BeforeExecute), OnFailure::FailClosed);
    }

    #[test]
    fn mistakes_name_the_variable_and_what_would_be_right() {
        for (value, expected) in [
            ("ftp://x", "must begin with"),
            (r#"[{"name":"x"}]"#, "missing field `url`"),
            (r#"[{"url":"http://h","wait":1}]"#, "unknown field `wait`"),
            (r#"[{"url":"http://h","deadlines":{"x":1}}]"#, "`authenticate`"),
            (r#"[{"url":"http://h","on_failure":"open"}]"#, "`fail_open`"),
            (r#"[{"url":"http://h","deadline":-1}]"#, "not a deadline"),
            (r#"[{"url":"http://h","max_in_flight":0}]"#, "`max_in_flight` is 0"),
            (
                r#"[{"url":"http://h","max_answer_bytes":1}]"#,
                "`max_answer_bytes` is 1, and has to be between 1024",
            ),
            (r#"[{"url":"http://h","max_answer_bytes":9999999999}]"#, "1073741824"),
        ] {
            let (_, mistakes) = read(&[("TOOLPLANE_HOOKS", value)].into(), services);
            assert!(mistakes.starts_with("TOOLPLANE_HOOKS: ") && mistakes.contains(expected), "{mistakes}");
        }
    }
}
