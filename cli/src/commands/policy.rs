//! `toolplane policy`: which tools are offered at all.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use toolplane_proto::admin as wire;
use toolplane_registry::policy::{AccessPolicy, CodeModePolicy};

use crate::args::{PolicyCommand, ReadConnection};
use crate::client::Client;
use crate::env::Variables;
use crate::exit::Failure;
use crate::output::{self, Table};

/// The policy in the form that is printed, and that `policy set` reads again.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    allow: BTreeMap<String, Vec<String>>,
    deny: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "CodeModePolicy::is_silent")]
    code_mode: CodeModePolicy,
    #[serde(skip)]
    explicit: bool,
}

pub(crate) async fn run(command: PolicyCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        PolicyCommand::Get { read } => get(&read, variables).await,
        PolicyCommand::Set { file, remove: _, dry_run, confirmation, connection } => {
            let policy = file.as_deref().map(read_policy).transpose()?;
            if !dry_run {
                let what = if policy.is_some() { "Replace" } else { "Remove" };
                output::confirm(&format!("{what} the access policy of every node?"), confirmation.yes)?;
            }
            let client = Client::connect(&connection, variables).await?;
            let request = wire::SetPolicyRequest { policy: policy.map(to_wire), validate_only: dry_run };
            client.policies().set_policy(request).await?;
            output::say(if dry_run { "the policy would be accepted" } else { "the policy is in force" });
            Ok(())
        }
    }
}

async fn get(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let policy = client.policies().get_policy(wire::GetPolicyRequest {}).await?.into_inner();
    output::data(read.output, &View::from(policy), View::table)
}

/// Reads the file, so that a mistake in it is told before anybody is asked anything.
fn read_policy(file: &Path) -> Result<AccessPolicy, Failure> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        ("stdin".to_owned(), read.map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let text = text.map_err(|error| Failure::usage(format!("`{name}` cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("`{name}` is no access policy: {error}"))
            .hint("the form is {\"allow\": {\"domain\": [\"glob\"]}, \"deny\": {\"domain\": [\"glob\"]}}")
    })
}

fn to_wire(policy: AccessPolicy) -> wire::Policy {
    let AccessPolicy { allow, deny, code_mode } = policy;
    let globs = |map: BTreeMap<String, Vec<String>>| {
        map.into_iter().map(|(domain, globs)| (domain, wire::GlobList { globs })).collect()
    };
    let code_mode = (!code_mode.is_silent()).then(|| (&code_mode).into());
    wire::Policy { allow: globs(allow), deny: globs(deny), code_mode, ..wire::Policy::default() }
}

impl From<wire::Policy> for View {
    fn from(policy: wire::Policy) -> Self {
        let wire::Policy { allow, deny, etag: _, explicit, code_mode } = policy;
        let globs = |map: BTreeMap<String, wire::GlobList>| {
            map.into_iter().map(|(domain, list)| (domain, list.globs)).collect()
        };
        let code_mode = code_mode.map(Into::into).unwrap_or_default();
        Self { allow: globs(allow), deny: globs(deny), code_mode, explicit }
    }
}

impl View {
    pub(crate) fn table(&self) -> String {
        let Self { allow, deny, code_mode, explicit } = self;
        if !explicit {
            return "no explicit policy: the filters of the upstreams decide\n".to_owned();
        }
        let mut table = Table::new(&["RULE", "DOMAIN", "GLOBS"]);
        for (rule, map) in [("allow", allow), ("deny", deny)] {
            for (domain, globs) in map {
                table.row([rule.to_owned(), domain.clone(), globs.join(", ")]);
            }
        }
        for (rule, denied) in [("tools", code_mode.deny), ("destructive tools", code_mode.deny_destructive)] {
            if denied {
                table.row(["code mode".to_owned(), "all".to_owned(), format!("no {rule}")]);
            }
        }
        table.render("the policy is empty: every tool is offered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> AccessPolicy {
        let map = |domain: &str, glob: &str| [(domain.to_owned(), vec![glob.to_owned()])].into();
        let code_mode = CodeModePolicy { deny: false, deny_destructive: true };
        AccessPolicy { allow: map("crm", "*"), deny: map("crm", "*_delete"), code_mode }
    }

    #[test]
    fn what_is_printed_as_json_can_be_set_again() {
        let printed = serde_json::to_string(&View::from(to_wire(policy()))).unwrap();
        assert_eq!(serde_json::from_str::<AccessPolicy>(&printed).unwrap(), policy());
    }

    #[test]
    fn rules_are_one_per_line() {
        let view = View { explicit: true, ..View::from(to_wire(policy())) };
        assert_eq!(
            view.table(),
            "RULE       DOMAIN  GLOBS\nallow      crm     *\ndeny       crm     *_delete\ncode mode  all     no destructive tools\n"
        );
        assert!(View::from(wire::Policy::default()).table().starts_with("no explicit policy"));
    }

    #[test]
    fn a_file_that_is_no_policy_is_refused_before_anything_happens() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"alow": {}}"#).unwrap();
        let failure = read_policy(file.path()).unwrap_err();
        assert!(failure.messages[0].contains("alow"), "{failure:?}");
    }
}
