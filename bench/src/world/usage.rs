//! What processes have used, read from `/proc`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// `sysconf(_SC_CLK_TCK)` on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;
/// Fields of `stat` behind the name, counted from 0: parent, then user and system time, of the process and of those of
/// its children that have ended.
const PARENT: usize = 1;
const TIMES: usize = 11;
const HOW_MANY: usize = 4;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time since it started, children that have ended included.
    pub(crate) cpu: f64,
    /// Resident memory in MiB.
    pub(crate) rss: f64,
    /// The most it ever was.
    pub(crate) peak: f64,
}

impl Usage {
    /// Of one process.
    pub(crate) fn of(id: u32) -> anyhow::Result<Self> {
        Self::read(&folder(id))
    }

    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        Self::read(Path::new("/proc/self"))
    }

    /// Of a process and all that descend from it, of which some servers have many.
    pub(crate) fn of_family(id: u32) -> anyhow::Result<Self> {
        let mut total = Self::of(id)?;
        let mut children = children()?;
        let mut next = children.remove(&id).unwrap_or_default();
        while let Some(child) = next.pop() {
            if let Ok(Self { cpu, rss, peak }) = Self::of(child) {
                total = Self { cpu: total.cpu + cpu, rss: total.rss + rss, peak: total.peak + peak };
            }
            next.extend(children.remove(&child).unwrap_or_default());
        }
        Ok(total)
    }

    fn read(folder: &Path) -> anyhow::Result<Self> {
        let fields = fields(folder)?;
        let ticks: f64 =
            fields.iter().skip(TIMES).take(HOW_MANY).filter_map(|field| field.parse::<f64>().ok()).sum();
        let status = std::fs::read_to_string(folder.join("status"))?;
        let mebibytes = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
            Ok(line.split_whitespace().nth(1).context("no value")?.parse::<f64>()? / 1024.0)
        };
        Ok(Self { cpu: ticks / TICKS_PER_SECOND, rss: mebibytes("VmRSS")?, peak: mebibytes("VmHWM")? })
    }
}

/// The processes that each process has started and that have not ended.
pub(crate) fn children() -> anyhow::Result<BTreeMap<u32, Vec<u32>>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // What ended meanwhile has no parent.
        let fields = fields(&folder(child)).unwrap_or_default();
        if let Some(parent) = fields.get(PARENT).and_then(|field| field.parse().ok()) {
            children.entry(parent).or_default().push(child);
        }
    }
    Ok(children)
}

fn folder(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}

/// The fields of `stat` behind the name, which may hold anything.
fn fields(folder: &Path) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    let rest = stat.rsplit_once(')').context("an unknown form of stat")?.1;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_used_what_its_members_have() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let (alone, family) =
            (Usage::of_this_process().unwrap(), Usage::of_family(std::process::id()).unwrap());
        let child_rss = Usage::of(child.id()).unwrap().rss;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alone.rss > 0.5 && alone.peak >= alone.rss);
        assert!(child_rss > 0.0 && family.peak > alone.peak, "{family:?} {alone:?}");
    }
}
