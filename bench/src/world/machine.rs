//! Where and on what something was measured: figures mean little without it.

use std::path::Path;

use tokio::process::Command;

/// What differs from the commit; the tables themselves do as soon as one of them is kept.
const EDITED: [&str; 5] = ["status", "--porcelain", "--untracked-files=no", "--", ":!bench/RESULTS.md"];

/// One paragraph: date, commit, binary, processor, memory, kernel, load.
pub(crate) async fn facts(binary: &Path, load: &str) -> String {
    let date = output("date", &["--utc", "+%Y-%m-%d %H:%M UTC"]).await;
    let commit = output("git", &["rev-parse", "--short", "HEAD"]).await;
    let edited = if output("git", &EDITED).await.is_empty() { "" } else { " with uncommitted changes" };
    let build = output(binary, &["--version"]).await;
    let kernel = output("uname", &["-sr"]).await;
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    format!(
        "*{date}, commit {commit}{edited}, {build}; {processors} × {model}, {memory} memory, {kernel}; \
         load before it {load}.*"
    )
}

/// The mean number of processes that ran or waited for a processor, over the last minute.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

async fn output(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().await;
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The first value of a `name : value` file.
fn field(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
