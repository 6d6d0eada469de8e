//! What processes have used, read from `/proc`.

use std::path::Path;

use anyhow::Context as _;

/// `sysconf(_SC_CLK_TCK)` on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;
/// Fields of `stat` behind the name, counted from 0: parent, then user and system time.
const PARENT: usize = 1;
const TIMES: usize = 11;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time since it started.
    pub(crate) cpu: f64,
    /// Resident memory in MiB.
    pub(crate) rss: f64,
    /// The most it ever was.
    pub(crate) peak: f64,
}

impl Usage {
    /// Of one process.
    pub(crate) fn of(id: u32) -> anyhow::Result<Self> {
        Self::read(&Path::new("/proc").join(id.to_string()))
    }

    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        Self::read(Path::new("/proc/self"))
    }

    /// Of a process and its children, of which some servers have many.
    pub(crate) fn of_family(id: u32) -> anyhow::Result<Self> {
        let mut total = Self::of(id)?;
        for entry in std::fs::read_dir("/proc")? {
            let folder = entry?.path();
            // What is no process, or ended meanwhile, has no parent.
            let parent = fields(&folder).ok().and_then(|fields| fields.get(PARENT)?.parse::<u32>().ok());
            if parent == Some(id)
                && let Ok(Self { cpu, rss, peak }) = Self::read(&folder)
            {
                total = Self { cpu: total.cpu + cpu, rss: total.rss + rss, peak: total.peak + peak };
            }
        }
        Ok(total)
    }

    fn read(folder: &Path) -> anyhow::Result<Self> {
        let fields = fields(folder)?;
        let ticks: f64 =
            fields.iter().skip(TIMES).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let status = std::fs::read_to_string(folder.join("status"))?;
        let mebibytes = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
            Ok(line.split_whitespace().nth(1).context("no value")?.parse::<f64>()? / 1024.0)
        };
        Ok(Self { cpu: ticks / TICKS_PER_SECOND, rss: mebibytes("VmRSS")?, peak: mebibytes("VmHWM")? })
    }
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
