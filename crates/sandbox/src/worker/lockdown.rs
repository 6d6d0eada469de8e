//! What a worker gives up before it sees a program.
//!
//! On Linux: everything. Elsewhere the process is still one of its own, without an environment, that counts its memory
//! and is killed when its time is up; the start of the gateway says what is missing.

use crate::worker::Start;

/// Whether this platform has the locks.
pub(crate) const IS_COMPLETE: bool = cfg!(target_os = "linux");

/// A lock that could not be set. A worker without one of them sees no program; it ends with a code that says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The host did not say what it wants.
    Arguments,
    /// It does not die with the gateway, or has another parent.
    Parent,
    /// It can gain rights, or be read by others.
    Rights,
    /// It cannot be kept to its cores.
    Cores,
    /// A limit of the kernel for its resources.
    Limits,
    /// The interpreter's thread.
    Thread,
    /// The filter of system calls.
    Filter,
}

impl Refused {
    const ALL: [Self; 7] =
        [Self::Arguments, Self::Parent, Self::Rights, Self::Cores, Self::Limits, Self::Thread, Self::Filter];

    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Arguments => 70,
            Self::Parent => 71,
            Self::Rights => 72,
            Self::Cores => 73,
            Self::Limits => 74,
            Self::Thread => 75,
            Self::Filter => 76,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Arguments => "it was not told how",
            Self::Parent => "it would outlive the gateway",
            Self::Rights => "it could gain rights",
            Self::Cores => "it cannot be kept to its cores",
            Self::Limits => "the kernel refuses a limit of its resources",
            Self::Thread => "there is no thread for the interpreter",
            Self::Filter => "the kernel refuses the filter of system calls (seccomp)",
        }
    }
}

/// What a worker that ended with this code could not do.
pub(crate) fn refusal(exit_code: i32) -> Option<&'static str> {
    Refused::ALL.into_iter().find(|refused| i32::from(refused.exit_code()) == exit_code).map(Refused::reason)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_any(_: &Start) -> Result<(), Refused> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_a_worker(_: &Start) -> Result<(), Refused> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn all_threads() -> Result<(), Refused> {
    Ok(())
}

#[cfg(target_os = "linux")]
pub(super) use linux::{all_threads, of_a_worker, of_any};

#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub(super) use linux::attempts;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{
        DumpableBehavior, Pid, Resource, Rlimit, Signal, getppid, set_dumpable_behavior,
        set_parent_process_death_signal, setpgid, setpriority_process, setrlimit,
    };
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_no_new_privs};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::{Refused, Start};
    use crate::worker::ADDRESS_SPACE;

    /// Far below the gateway: a program waits rather than a request.
    const NICENESS: i32 = 19;

    /// All that holds for workers and what they are copied from.
    pub(crate) fn of_any(start: &Start) -> Result<(), Refused> {
        // First to go where memory is short; the limits below forbid saying so. It fails where there is no such file.
        std::fs::write("/proc/self/oom_score_adj", "1000").unwrap_or_default();
        ignore_signals();
        close_inherited();
        dies_with_its_parent(start.parent)?;
        gives_up_rights()?;
        yields();
        keeps_to_cores(start.cores)
    }

    /// What a worker gives up besides: a copy does not inherit all of it, and what it is copied from needs more.
    pub(crate) fn of_a_worker(start: &Start) -> Result<(), Refused> {
        close_inherited();
        dies_with_its_parent(start.parent)?;
        // As for a worker that was started anew: what ends the gateway's group is not for it. A leader stays one.
        setpgid(None, None).unwrap_or_default();
        limit_resources(start)
    }

    /// Keeps the two pipes and the empty error stream.
    #[expect(unsafe_code, reason = "no safe function closes a range of descriptors")]
    fn close_inherited() {
        // SAFETY: nothing in this process has a descriptor of its own, or none any more: a copy has put its pipes in place
        // and dropped what they came in, so none that is in use is closed.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) == 0 };
        if !closed {
            // A kernel before 5.9. Everything that the gateway opens is closed by the start of this process anyway.
            for descriptor in 3..1024 {
                // SAFETY: as above.
                unsafe { libc::close(descriptor) };
            }
        }
    }

    /// What tells the whole group or service to end is for the gateway to heed, which lets programs finish.
    #[expect(unsafe_code, reason = "no safe function ignores a signal")]
    fn ignore_signals() {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            // SAFETY: no handler is installed, and no other thread runs yet.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
    }

    fn dies_with_its_parent(parent: u32) -> Result<(), Refused> {
        let is_told = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
        // It may have died before this was said.
        let is_alive =
            getppid().map(Pid::as_raw_nonzero).is_some_and(|id| i64::from(id.get()) == i64::from(parent));
        if is_told && is_alive { Ok(()) } else { Err(Refused::Parent) }
    }

    fn gives_up_rights() -> Result<(), Refused> {
        set_no_new_privs(true).map_err(|_| Refused::Rights)?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|_| Refused::Rights)
    }

    /// Leaves the cores to others, as batch work does: it takes none from whoever runs, and whoever wakes up takes it.
    ///
    /// A courtesy to the gateway and no lock: some containers forbid it.
    /// The kernel's idle class promises more and keeps less: a core that runs nothing else counts as idle when a place
    /// for a request is sought, and gives way milliseconds later (ADR 31).
    #[expect(unsafe_code, reason = "no safe function changes the class of a process")]
    fn yields() {
        setpriority_process(None, NICENESS).unwrap_or_default();
        let no_priority = libc::sched_param { sched_priority: 0 };
        // SAFETY: the parameter lives, and is what this class takes.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const no_priority) };
    }

    fn keeps_to_cores(cores: u64) -> Result<(), Refused> {
        let Some(cores) = usize::try_from(cores).ok().filter(|&cores| cores > 0) else { return Ok(()) };
        let available = sched_getaffinity(None).map_err(|_| Refused::Cores)?;
        let mut shared = CpuSet::new();
        let last = (0..CpuSet::MAX_CPU).rev().filter(|&cpu| available.is_set(cpu));
        last.take(cores).for_each(|cpu| shared.set(cpu));
        sched_setaffinity(None, &shared).map_err(|_| Refused::Cores)
    }

    fn limit_resources(start: &Start) -> Result<(), Refused> {
        let Start { parent: _, memory, cpu_seconds, cores: _, runs: _ } = *start;
        let limits = [
            (Resource::Core, 0),
            (Resource::Fsize, 0),
            // One above what is open: a descriptor can be had by nobody.
            (Resource::Nofile, 3),
            (Resource::As, memory.saturating_mul(2).saturating_add(ADDRESS_SPACE)),
            (Resource::Cpu, cpu_seconds),
        ];
        limits.into_iter().try_for_each(|(resource, most)| {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            setrlimit(resource, limit).map_err(|_| Refused::Limits)
        })
    }

    /// Leaves the calls of the kernel that computing needs, and the two pipes.
    pub(crate) fn all_threads() -> Result<(), Refused> {
        // No thread or process more than there are; has no effect for root, whom the filter stops.
        let no_more = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Nproc, no_more).map_err(|_| Refused::Limits)?;
        let filter = filter().map_err(|_| Refused::Filter)?;
        seccompiler::apply_filter_all_threads(&filter).map_err(|_| Refused::Filter)
    }

    fn only(conditions: Vec<SeccompCondition>) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        Ok(vec![SeccompRule::new(conditions)?])
    }

    fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
        let argument = |place: u8, operation: SeccompCmpOp, value: u64| {
            SeccompCondition::new(place, SeccompCmpArgLen::Qword, operation, value)
        };
        let descriptor =
            |number: u64| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number);
        let executable = u64::try_from(libc::PROT_EXEC).unwrap_or_default();
        let not_executable = || argument(2, SeccompCmpOp::MaskedEq(executable), 0);
        let mut rules = vec![
            (libc::SYS_read, only(vec![descriptor(0)?])?),
            (libc::SYS_write, only(vec![descriptor(1)?])?),
            // Signals to itself and to nobody else: this is how a process aborts.
            (libc::SYS_tgkill, only(vec![descriptor(u64::from(std::process::id()))?])?),
            (libc::SYS_mmap, only(vec![not_executable()?])?),
            (libc::SYS_mprotect, only(vec![not_executable()?])?),
        ];
        rules.extend(UNCONDITIONAL.iter().map(|&call| (call, Vec::new())));
        let architecture = std::env::consts::ARCH.try_into()?;
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        SeccompFilter::new(rules.into_iter().collect(), refused, SeccompAction::Allow, architecture)?
            .try_into()
    }

    /// Calls of the kernel that must be refused, and whether they were.
    #[cfg(feature = "fuzzing")]
    #[expect(unsafe_code, reason = "no safe function makes calls that fail")]
    pub(crate) fn attempts(parent: u32) -> Vec<(&'static str, bool)> {
        let parent = i64::from(parent);
        let (path, executable) =
            (c"/etc/passwd".as_ptr() as i64, i64::from(libc::PROT_READ | libc::PROT_EXEC));
        let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let tried: [(&str, libc::c_long, [i64; 6]); 11] = [
            ("open a file", libc::SYS_openat, [i64::from(libc::AT_FDCWD), path, 0, 0, 0, 0]),
            ("remove a file", libc::SYS_unlinkat, [i64::from(libc::AT_FDCWD), path, 0, 0, 0, 0]),
            (
                "open a socket",
                libc::SYS_socket,
                [i64::from(libc::AF_INET), i64::from(libc::SOCK_STREAM), 0, 0, 0, 0],
            ),
            ("signal the gateway", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
            ("signal a thread of the gateway", libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
            ("trace the gateway", libc::SYS_ptrace, [i64::from(libc::PTRACE_ATTACH), parent, 0, 0, 0, 0]),
            ("start a process", libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0, 0, 0]),
            ("become another program", libc::SYS_execve, [path, 0, 0, 0, 0, 0]),
            ("make memory executable", libc::SYS_mmap, [0, 4096, executable, anonymous, -1, 0]),
            ("write elsewhere", libc::SYS_write, [2, path, 1, 0, 0, 0]),
            ("raise its limits", libc::SYS_prlimit64, [0, 0, 0, 0, 0, 0]),
        ];
        let refused = |(name, call, [a, b, c, d, e, f]): (&'static str, libc::c_long, [i64; 6])| {
            // SAFETY: the pointers are to constants, and the calls are refused or fail.
            let result = unsafe { libc::syscall(call, a, b, c, d, e, f) };
            let is_by_filter = std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            (name, result == -1 && is_by_filter)
        };
        tried.into_iter().map(refused).collect()
    }

    /// Memory, waiting, the clock, signals to itself, and the end.
    const UNCONDITIONAL: &[libc::c_long] = &[
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_getrandom,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
}
