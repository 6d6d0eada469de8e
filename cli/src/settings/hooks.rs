//! Hooks: services that a node asks, and Python modules that it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use toolplane_data_plane::Address;
use toolplane_data_plane::hooks::{Configured, Keep, OnFailure, Phase, Place, Rules, Service};

use super::Reader;
use super::reader::{one_of, quoted};
use crate::env::{self, Variable, Variables};

/// For how long Python may be silent: longer than any deadline of a hook is likely to be.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name of the Python modules among the hooks.
const PYTHON: &str = "python";
const WORDS: [(&str, OnFailure); 2] =
    [("fail_closed", OnFailure::FailClosed), ("fail_open", OnFailure::FailOpen)];
/// A variable that names Python code, the one that says where it may come from, and their flags.
type Module = (&'static Variable, &'static Variable, &'static str, &'static str);
const HOOKS: Module =
    (&env::GATEWAY_HOOK_MODULE, &env::GATEWAY_ALLOWED_HOOK_PREFIXES, "--hook-module", "--allowed-prefixes");
const AUTHORIZER: Module = (
    &env::GATEWAY_CODE_MODE_AUTHORIZER,
    &env::GATEWAY_ALLOWED_CODE_MODE_AUTHORIZER_PREFIXES,
    "--authorizer",
    "--authorizer-prefixes",
);
const TOKEN_PROVIDER: Module = (
    &env::GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE,
    &env::GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES,
    "--token-provider",
    "--token-provider-prefixes",
);

/// Which planes a process runs, and so which Python code it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planes {
    /// The control plane alone.
    Control,
    /// A node alone.
    Node,
    /// Both.
    Both,
}

/// Python code to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Python {
    /// The interpreter.
    pub(crate) interpreter: PathBuf,
    /// `PYTHONPATH` as it is.
    pub(crate) path: Option<String>,
    /// For how long the process may be silent.
    pub(crate) patience: Duration,
    /// Flags and values.
    arguments: Vec<(&'static str, String)>,
    /// Whether hooks or an authorizer are among it.
    pub(crate) has_hooks: bool,
    /// Whether a token provider is.
    pub(crate) has_token_provider: bool,
}

/// The least and the most of answers that may be awaited at once, and of bytes that one may have.
const MAX_IN_FLIGHT: (usize, usize) = (1, 1 << 20);
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

impl Python {
    /// Reads what a process with these planes has to run; `None` where that is nothing.
    pub(crate) fn read(reader: &mut Reader<'_>, planes: Planes) -> Option<Self> {
        let mut python = Self {
            interpreter: reader.text(&env::HOOKS_PYTHON).unwrap_or("python3").into(),
            path: reader.text(&env::PYTHONPATH).map(ToOwned::to_owned),
            patience: reader.seconds(&env::HOOKS_PYTHON_PATIENCE).unwrap_or(PATIENCE),
            arguments: Vec::new(),
            has_hooks: false,
            has_token_provider: false,
        };
        if planes != Planes::Control {
            let hooks = python.add(reader, HOOKS, true);
            let is_code_mode = reader.flag(&env::GATEWAY_CODE_MODE, false);
            let authorizer = is_code_mode && python.add(reader, AUTHORIZER, true);
            python.has_hooks = hooks || authorizer;
        }
        if planes != Planes::Node {
            python.has_token_provider = python.add(reader, TOKEN_PROVIDER, false);
        }
        (python.has_hooks || python.has_token_provider).then_some(python)
    }

    /// What the process is started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.arguments.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]).collect()
    }

    /// Adds one kind of code, where it is asked for and may be run.
    fn add(&mut self, reader: &mut Reader<'_>, module: Module, is_needed: bool) -> bool {
        let (variable, prefixes, flag, prefixes_flag) = module;
        let Some(value) = reader.text(variable) else { return false };
        let Some(allowed) = reader.text(prefixes) else {
            if is_needed {
                // Going on without whoever says who may do what would let everybody do everything.
                reader.mistake(
                    variable,
                    format!("needs `{}`, which names where it may be imported from", prefixes.name),
                );
            }
            return false;
        };
        if value.trim().split_once(':').is_none_or(|(module, name)| module.is_empty() || name.is_empty()) {
            reader.mistake(variable, format!("{} must have the form `module.path:name`", quoted(value)));
            return false;
        }
        self.arguments.push((flag, value.trim().to_owned()));
        self.arguments.push((prefixes_flag, allowed.to_owned()));
        true
    }
}

/// A token provider that is asked for and not allowed is left out, as it always was.
pub(crate) fn ignored_token_provider(variables: &Variables) -> Option<&'static Variable> {
    let (variable, prefixes, ..) = TOKEN_PROVIDER;
    (variables.get(variable).is_some() && variables.get(prefixes).is_none()).then_some(prefixes)
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

/// The Python modules among the hooks of a node, once they are served; by the process of that instance alone.
pub(crate) fn python(socket: &Path, rules: Rules, instance: watch::Receiver<String>) -> Configured {
    let service = Service::at(Address::Unix(socket.to_owned()));
    let place = Place::Service(Service { instance: Some(instance), ..service });
    Configured { name: PYTHON.to_owned(), place, rules }
}

/// How much of what callers may see is kept.
pub(crate) fn keep(reader: &mut Reader<'_>) -> Keep {
    let defaults = Keep::default();
    Keep {
        max_age: reader.seconds_or_zero(&env::HOOKS_KEEP_VISIBILITY).unwrap_or(defaults.max_age),
        max_tools: reader.integer(&env::HOOKS_KEEP_TOOLS, (0, 1 << 28)).unwrap_or(defaults.max_tools),
    }
}

/// The rules of whatever has none of its own.
pub(crate) fn rules(reader: &mut Reader<'_>) -> Rules {
    let defaults = Rules::default();
    let on_failure = reader.parsed(&env::HOOKS_ON_FAILURE, |text| {
        let all = |word: OnFailure| Phase::ALL.into_iter().map(|phase| (phase, word)).collect();
        if !text.contains('=') {
            return one_of(text, &WORDS).map(all);
        }
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        let pair = |pair: &str| {
            let (name, word) = pair.split_once('=').ok_or(format!("{} is not `phase=rule`", quoted(pair)))?;
            Ok((phase(name.trim())?, one_of(word, &WORDS)?))
        };
        pairs.map(pair).collect()
    });
    Rules {
        on_failure: on_failure.unwrap_or_default(),
        deadline: reader.seconds(&env::HOOKS_DEADLINE).unwrap_or(defaults.deadline),
        max_in_flight: reader
            .integer(&env::HOOKS_MAX_IN_FLIGHT, MAX_IN_FLIGHT)
            .unwrap_or(defaults.max_in_flight),
        ..defaults
    }
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

fn phase(name: &str) -> Result<Phase, String> {
    Phase::parse(name).ok_or_else(|| {
        let all: Vec<String> = Phase::ALL.iter().map(|phase| format!("`{}`", phase.word())).collect();
        format!("{} is not one of the phases {}", quoted(name), all.join(", "))
    })
}

fn within(name: &str, number: Option<usize>, (least, most): (usize, usize)) -> Result<Option<usize>, String> {
    match number {
        Some(number) if !(least..=most).contains(&number) => {
            Err(format!("`{name}` is {number}, and has to be between {least} and {most}"))
        }
        number => Ok(number),
    }
}

fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= Duration::from_hours(1))
        .ok_or_else(|| format!("{number} is not a deadline in seconds, 3600 at most"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(variables: &Variables, read: impl FnOnce(&mut Reader<'_>) -> T) -> (T, String) {
        let mut reader = Reader::new(variables);
        let value = read(&mut reader);
        let mistakes: Vec<String> = reader.into_mistakes().iter().map(ToString::to_string).collect();
        (value, mistakes.join("\n"))
    }

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

    #[test]
    fn python_code_needs_its_prefixes_and_a_name() {
        let python = |variables: Variables| read(&variables, |reader| Python::read(reader, Planes::Both));
        assert_eq!(python(Variables::default()).0, None);
        let (_, mistakes) = python([("GATEWAY_HOOK_MODULE", "a:b")].into());
        assert!(mistakes.contains("GATEWAY_ALLOWED_HOOK_PREFIXES"), "{mistakes}");
        let (_, mistakes) =
            python([("GATEWAY_HOOK_MODULE", "a"), ("GATEWAY_ALLOWED_HOOK_PREFIXES", "a")].into());
        assert!(mistakes.starts_with("GATEWAY_HOOK_MODULE: "), "{mistakes}");
        let variables = [("GATEWAY_HOOK_MODULE", "a:b"), ("GATEWAY_ALLOWED_HOOK_PREFIXES", "x, a")];
        let found = python(variables.into()).0.unwrap();
        assert_eq!(found.arguments(), ["--hook-module", "a:b", "--allowed-prefixes", "x, a"]);
        let provider: Variables = [("GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE", "a:b")].into();
        assert_eq!(
            ignored_token_provider(&provider).unwrap().name,
            "GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES"
        );
        assert_eq!(python(provider), (None, String::new()));
    }
}
