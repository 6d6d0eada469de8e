//! Python hook modules: a process of their own, served over a Unix socket.
//!
//! Owns starting the process, finding out that it works before a port is bound, starting it again when it ends, and its
//! end. What is said over the socket is up to the planes.

mod output;
mod package;
mod process;
mod pulse;
mod socket;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toolplane_control_plane::credentials::{Shared, TokenService};

use self::process::{Ended, Process};
use self::socket::Socket;
use crate::exit::Failure;
use crate::settings::hooks::{self, Planes};
use crate::settings::{ControlPlane, Node, Python};

/// Where the lines go that the process writes.
const LOG: &str = "toolplane::hooks::python";
/// How long loading the modules may take.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// The waits before the process is started again, from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A process that lived as long as this did not fail for want of something.
const LONG_LIFE: Duration = Duration::from_mins(1);

/// How the process is started.
#[derive(Debug, Clone)]
struct Launch {
    interpreter: PathBuf,
    arguments: Vec<OsString>,
    /// Where the package lies.
    package: PathBuf,
    /// What the process finds in `PYTHONPATH` beside it.
    python_path: Option<OsString>,
}

/// The waits between starts: each twice as long as the one before.
#[derive(Debug)]
struct Backoff(Duration);

/// A running process, and what keeps it running.
#[derive(Debug)]
pub(crate) struct Runner {
    launch: Launch,
    process: Process,
    socket: Socket,
    /// Which start of it runs: nodes believe no other process.
    instance: watch::Sender<String>,
    /// For how long it may be silent.
    patience: Duration,
    has_hooks: bool,
    has_token_provider: bool,
}

impl Runner {
    /// Starts the process and waits until it has loaded what the settings name, if they name something. The planes are
    /// those that hold the lock of the data folder.
    pub(crate) async fn start(
        settings: Option<&Python>,
        data_dir: &Path,
        planes: Planes,
    ) -> Result<Option<Self>, Failure> {
        let Some(settings) = settings else { return Ok(None) };
        let package = package::unpack(&data_dir.join("python"))?;
        let socket = Socket::new(&data_dir.join("hooks").join(match planes {
            Planes::Node => "node",
            Planes::Control | Planes::Both => "gateway",
        }))?;
        let mut arguments: Vec<OsString> =
            vec!["-m".into(), "toolplane_hooks".into(), "--socket".into(), socket.path().into()];
        arguments.extend(settings.arguments().into_iter().map(Into::into));
        let python_path = settings.path.clone().map(Into::into);
        let launch = Launch { interpreter: settings.interpreter.clone(), arguments, package, python_path };
        let process = match Process::start(&launch, START_DEADLINE).await {
            Ok(process) => process,
            Err(ended) => return Err(refused(&launch, ended)),
        };
        let ready = process.ready();
        tracing::info!(hook.phases = %ready.phases.join(", "), "Python hooks are loaded");
        let instance = watch::Sender::new(ready.instance.clone());
        // A factory that returns no provider leaves the other sources of tokens to be used.
        let has_token_provider = settings.has_token_provider && ready.token_provider;
        let Python { has_hooks, patience, .. } = *settings;
        Ok(Some(Self { launch, process, socket, instance, patience, has_hooks, has_token_provider }))
    }

    /// Has a control plane ask it for tokens, if there is somebody to ask.
    pub(crate) fn serve_control_plane(&self, control: &mut ControlPlane) {
        if self.has_token_provider {
            let service = Arc::new(TokenService::at(self.socket.path().to_owned()));
            control.options.refresh.shared_credentials = Some(Shared::Provider(service));
        }
    }

    /// Puts its hooks before those of other services.
    pub(crate) fn serve_node(&self, node: &mut Node) {
        if self.has_hooks {
            let python =
                hooks::python(self.socket.path(), node.python_rules.clone(), self.instance.subscribe());
            node.options.hooks.insert(0, python);
        }
    }

    /// Keeps it running until told to stop, then ends it.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { launch, mut process, socket, instance, patience, has_hooks: _, has_token_provider: _ } =
            self;
        let mut backoff = Backoff(FIRST_WAIT);
        loop {
            let began = Instant::now();
            tokio::select! {
                () = shutdown.cancelled() => break,
                status = process.wait() => {
                    tracing::error!(target: LOG, %status, "the process of the Python hooks ended; it is started again");
                }
                () = pulse::lost(socket.path(), patience) => {
                    tracing::error!(target: LOG, ?patience, "the process of the Python hooks hangs; it is ended and started again");
                }
            }
            process.kill().await;
            if began.elapsed() >= LONG_LIFE {
                backoff = Backoff(FIRST_WAIT);
            }
            let Some(started) = shutdown.run_until_cancelled(again(&launch, &mut backoff)).await else {
                return;
            };
            process = started;
            instance.send_replace(process.ready().instance.clone());
        }
        process.stop().await;
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (2 * wait).min(LONGEST_WAIT);
        wait
    }
}

/// Keeps the Python hooks running for as long as a plane does.
pub(crate) async fn alongside<T>(runner: Option<Runner>, plane: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let plane = async {
        let outcome = plane.await;
        stop.cancel();
        outcome
    };
    let hooks = runner.map(|runner| runner.run(stop.clone()));
    let (outcome, _) = tokio::join!(plane, OptionFuture::from(hooks));
    outcome
}

/// Starts it again, for as long as it takes.
async fn again(launch: &Launch, backoff: &mut Backoff) -> Process {
    let mut wait = backoff.next();
    loop {
        tokio::time::sleep(wait).await;
        wait = backoff.next();
        match Process::start(launch, START_DEADLINE).await {
            Ok(process) => {
                tracing::info!("Python hooks are loaded again");
                return process;
            }
            Err(ended) => {
                let said = ended.said.join("; ");
                tracing::error!(target: LOG, retry_in = ?wait, "the Python hooks cannot be started: {} {said}", ended.why);
            }
        }
    }
}

/// In words that an operator can do something with.
fn refused(launch: &Launch, ended: Ended) -> Failure {
    let Ended { why, said } = ended;
    let interpreter = launch.interpreter.display();
    let lacks = |module: &str| said.iter().any(|line| line.contains(&format!("No module named '{module}")));
    if lacks("grpc") || lacks("google") {
        return Failure::usage(format!(
            "Python hooks need two packages that `{interpreter}` does not have: run `{interpreter} -m pip install grpcio \
             protobuf`, or name another interpreter with TOOLPLANE_HOOKS_PYTHON"
        ));
    }
    let mut failure =
        Failure::usage(format!("the Python hooks cannot be started with `{interpreter}`: {why}"));
    failure.messages.extend(said);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff(FIRST_WAIT);
        let waits: Vec<u128> = (0..11).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    }
}
