//! Python code that a process runs: hooks, an authorizer of code, a provider of tokens.

use std::path::PathBuf;
use std::time::Duration;

use super::super::Reader;
use super::super::reader::quoted;
use crate::env::{self, Variable, Variables};

/// For how long Python may be silent: longer than any deadline of a hook is likely to be.
const PATIENCE: Duration = Duration::from_secs(30);
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

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

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
