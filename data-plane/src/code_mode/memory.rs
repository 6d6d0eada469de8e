//! How much memory all programs together may have.
//!
//! Owns what the machine has for us and how many programs fit into a part of it. Each program has its own limit, which
//! its process keeps; here is only how many there can be at one time if all of them reach it.

use std::fs;
use std::path::Path;

use toolplane_sandbox::pool::most_memory;

use super::Settings;

/// Where no setting says more, programs have one part in so many of the memory.
const PART: u64 = 2;

/// That not one program fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "one program may take {each} bytes of memory and all together {all} (set GATEWAY_CODE_MODE_MAX_MEMORY lower, or \
     TOOLPLANE_CODE_MODE_TOTAL_MEMORY to what programs may have of this machine)"
)]
pub struct TooLittle {
    each: u64,
    all: u64,
}

/// The settings with as many programs at one time as they say, or fewer where memory ends before.
pub(super) fn fitted(settings: &Settings) -> Result<Settings, TooLittle> {
    let all = settings.total_memory.or_else(|| Some(available()? / PART));
    let max_runs = fitting(settings, all)?;
    if max_runs < settings.max_runs {
        tracing::info!(
            programs = max_runs,
            setting = settings.max_runs,
            memory = all,
            "memory bounds how many programs run at one time"
        );
    }
    let max_runs_per_caller = share(settings, max_runs);
    Ok(Settings { max_runs, max_runs_per_caller, ..settings.clone() })
}

/// How many of them one caller may have: where memory lowered their number, no one caller is to have all of it.
fn share(settings: &Settings, max_runs: usize) -> usize {
    let most = if max_runs < settings.max_runs { (max_runs / 2).max(1) } else { max_runs };
    settings.max_runs_per_caller.min(most)
}

/// Where the memory is not known, nothing but the setting bounds programs.
fn fitting(settings: &Settings, all: Option<u64>) -> Result<usize, TooLittle> {
    let Some(all) = all else { return Ok(settings.max_runs) };
    let each = u64::try_from(most_memory(&settings.limits)).unwrap_or(u64::MAX).max(1);
    let fitting = usize::try_from(all / each).unwrap_or(usize::MAX).min(settings.max_runs);
    if fitting == 0 { Err(TooLittle { each, all }) } else { Ok(fitting) }
}

/// The bytes of this machine or, where that is less, of the control group that this process is in.
fn available() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).as_deref().and_then(total);
    // A container sees its own group as the root; elsewhere every group on the way there may be the narrowest.
    let own = read(Path::new("/proc/self/cgroup")).as_deref().and_then(group).unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    let groups = Path::new(&own).ancestors();
    let limits = groups.filter_map(|group| read(&root.join(group).join("memory.max"))?.trim().parse().ok());
    limits.chain(machine).min()
}

/// The total of `/proc/meminfo`, which is in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The group of the second version in `/proc/self/cgroup`, without the leading slash.
fn group(cgroup: &str) -> Option<String> {
    let line = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Nothing that leads out of the tree.
    (!line.contains("..")).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use toolplane_sandbox::Limits;

    use super::*;

    fn settings(memory: usize) -> Settings {
        Settings { limits: Limits { memory, ..Limits::default() }, max_runs: 8, ..Settings::default() }
    }

    #[test]
    fn as_many_programs_run_as_fit() {
        let each = most_memory(&settings(100 << 20).limits) as u64;
        assert_eq!(fitting(&settings(100 << 20), Some(3 * each)), Ok(3));
        assert_eq!(fitting(&settings(100 << 20), Some(100 * each)), Ok(8), "the setting is a bound, too");
        assert_eq!(fitting(&settings(100 << 20), None), Ok(8));
        assert_eq!(fitting(&settings(100 << 20), Some(each - 1)), Err(TooLittle { each, all: each - 1 }));
        let settings = settings(100 << 20);
        assert_eq!([8, 5, 1].map(|runs| share(&settings, runs)), [8, 2, 1], "no caller has all that is left");
    }

    #[test]
    fn what_there_is_is_read_from_the_kernel() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24586024 kB\n"), Some(24_586_024 * 1024));
        assert_eq!(total("nothing"), None);
        assert_eq!(
            group("1:name=x:/y\n0::/system.slice/a.service\n").as_deref(),
            Some("system.slice/a.service")
        );
        assert_eq!(group("0::/../../etc\n"), None);
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
