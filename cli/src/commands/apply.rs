//! `toolplane apply`: makes the registry what files say.
//!
//! Nothing is changed before every file is read, every mistake is told, and the control plane has agreed to each
//! change by itself.

mod steps;
mod view;
mod wait;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::steps::{Applied, Steps};
use super::upstream::counted;
use super::{export, rollout};
use crate::args::ApplyArgs;
use crate::client::Client;
use crate::env::Variables;
use crate::exit::{Failure, Kind};
use crate::manifest::diff::diff;
use crate::manifest::resolve::{self, Values};
use crate::manifest::{Manifest, Mistake, read};
use crate::output;

/// Largest file.
const MAX_FILE_BYTES: u64 = 8 << 20;

pub(crate) async fn run(args: ApplyArgs, variables: &Variables) -> Result<(), Failure> {
    let manifest = read_files(&args.files, variables)?;
    if args.prune && !manifest.lists_upstreams {
        return Err(Failure::usage("`--prune` removes what no file lists, but no file has `upstreams`")
            .hint("`upstreams: []` says that there are to be none"));
    }
    let client = Client::connect(&args.connection, variables).await?;
    let held = export::held(&client).await?;
    let mut plan = diff(&manifest, &held, args.prune).map_err(told)?;
    let steps = Steps { client: &client, allow_unreachable: args.allow_unreachable };
    steps.settle(&mut plan).await?;
    for note in &plan.notes {
        output::say(&format!("note: {note}"));
    }
    if plan.is_empty() {
        output::say("nothing to do");
        return Ok(());
    }
    output::text(&view::plan(&plan))?;
    steps.validate(&plan).await?;
    if let Some(canary) = &args.canary {
        rollout::check(&client, canary).await?;
    }
    let changes = counted(plan.steps.len(), "change");
    if args.dry_run {
        output::say(&format!("{changes} would be accepted; nothing was changed"));
        return Ok(());
    }
    output::confirm(&format!("Make {changes}?"), args.confirmation.yes)?;
    if let Some(canary) = &args.canary {
        rollout::ensure(&client, canary).await?;
    }
    let made = steps.make(&plan).await;
    let Applied { version } = made.map_err(|failure| match &args.canary {
        Some(_) => failure.hint(rollout::STILL_UNDER_WAY).hint(rollout::NEXT),
        None => failure,
    })?;
    output::say(&format!("made {changes}: v{version}"));
    let waited = if args.no_wait {
        Ok(())
    } else {
        wait::fleet(&client, version, Duration::from_secs(args.timeout)).await
    };
    if args.canary.is_some() {
        output::say(rollout::NEXT);
    }
    waited
}

/// Reads every file, or tells every mistake in them.
fn read_files(paths: &[PathBuf], variables: &Variables) -> Result<Manifest, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let (name, text) = read_file(path);
        if files.iter().any(|(known, _)| *known == name) {
            return Err(Failure::usage(format!("`{name}` is named twice")));
        }
        let text = text.map_err(|error| Failure::usage(format!("`{name}` cannot be read: {error}")))?;
        files.push((name, text));
    }
    let (mut manifest, mut mistakes) = read::manifest(&files);
    let (more, warnings) = resolve::resolve(&mut manifest, &Process { variables });
    mistakes.extend(more);
    for warning in &warnings {
        output::say(&format!("warning: {warning}"));
    }
    if mistakes.is_empty() { Ok(manifest) } else { Err(told(mistakes)) }
}

fn read_file(path: &Path) -> (String, io::Result<String>) {
    if path == Path::new("-") {
        return ("stdin".to_owned(), read_text(io::stdin().lock()));
    }
    (path.display().to_string(), std::fs::File::open(path).and_then(read_text))
}

fn read_text(from: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(text)
}

/// One line per mistake, in the order of the files.
fn told(mut mistakes: Vec<Mistake>) -> Failure {
    mistakes.sort();
    mistakes.dedup();
    let messages = mistakes.iter().map(ToString::to_string).collect();
    Failure { kind: Kind::Usage, messages, hints: vec!["nothing was changed".to_owned()] }
}

/// The process's variables, and files beside the manifest.
struct Process<'a> {
    variables: &'a Variables,
}

impl Values for Process<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.named(name).map(str::to_owned)
    }

    fn file(&self, manifest: &str, path: &Path) -> io::Result<String> {
        let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
        std::fs::File::open(folder.join(path)).and_then(read_text)
    }
}
