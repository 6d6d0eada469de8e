//! A Postgres cluster of one's own, to be stopped and started in the middle of a test.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{skip, variable};

/// Names the folder of `initdb` and `pg_ctl`.
const BIN_VARIABLE: &str = "TOOLPLANE_TEST_PG_BIN";
const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// A running Postgres that nobody else uses; stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    folder: TempDir,
    bin: PathBuf,
    port: u16,
    /// `initdb` and `postgres` refuse to run as root.
    is_root: bool,
}

impl PrivatePostgres {
    /// Makes a cluster and starts it; `None`, with the reason printed, where Postgres is not installed.
    ///
    /// # Panics
    ///
    /// When Postgres is installed and cannot be started.
    pub fn create() -> Option<Self> {
        let Some(bin) = find_bin() else {
            skip(&format!("no initdb below {INSTALLATIONS} and {BIN_VARIABLE} is not set"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if is_root {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let port = free_port();
        let cluster = Self { folder, bin, port, is_root };
        run(cluster.command("initdb").args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        ]));
        cluster.start();
        Some(cluster)
    }

    /// The database `postgres`, as its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it again after [`PrivatePostgres::stop_immediately`]; returns when it answers.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(&self) {
        let socket = self.folder.path().display();
        // What a stopped server had written is in the page cache, so nothing here needs to wait for the disk.
        let mut options = format!("-p {} -c listen_addresses=127.0.0.1 -c fsync=off", self.port);
        write!(options, " -c unix_socket_directories={socket}").unwrap();
        let log = self.folder.path().join("log");
        run(self
            .command("pg_ctl")
            .args(["start", "--wait", "--silent", "--options", &options, "--log"])
            .arg(&log));
    }

    /// Ends it as a crash would: connections are cut and transactions in flight are lost.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn stop_immediately(&self) {
        run(&mut self.stop());
    }

    /// Ends it as an operator does: connections are cut, transactions in flight are rolled back.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn stop_fast(&self) {
        run(&mut self.stop_in("fast"));
    }

    fn stop(&self) -> Command {
        self.stop_in("immediate")
    }

    fn stop_in(&self, mode: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.args(["stop", "--wait", "--silent", "--mode", mode]);
        command
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if self.is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env("PGDATA", self.folder.path().join("data")).current_dir(self.folder.path());
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // It may be stopped already, which pg_ctl takes for an error.
        quiet(&mut self.stop()).status().ok();
    }
}

fn find_bin() -> Option<PathBuf> {
    if let Some(named) = variable(BIN_VARIABLE) {
        return Some(PathBuf::from(named));
    }
    let installed = fs::read_dir(INSTALLATIONS).ok()?.filter_map(Result::ok);
    let mut bins: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    bins.sort();
    bins.pop().map(|(_, bin)| bin)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Runs to the end. Output goes nowhere: the server would inherit a pipe and keep it open.
fn run(command: &mut Command) {
    let status = quiet(command).status().unwrap();
    assert!(status.success(), "{} failed: {status}; {}", command.get_program().display(), log_of(command));
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn log_of(command: &Command) -> String {
    let log = command.get_current_dir().map(|folder: &Path| folder.join("log"));
    log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::TestDatabase;

    #[tokio::test]
    async fn what_was_committed_survives_an_immediate_stop() {
        let Some(cluster) = PrivatePostgres::create() else { return };
        let database = TestDatabase::on_server(&cluster.url()).await.unwrap();
        super::super::run_on(database.url(), "CREATE TABLE kept (id BIGINT)").await.unwrap();
        cluster.stop_immediately();
        assert!(super::super::run_on(database.url(), "SELECT 1").await.is_err());
        cluster.start();
        super::super::run_on(database.url(), "SELECT id FROM kept").await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_cluster_leaves_nothing_behind() {
        let Some(cluster) = PrivatePostgres::create() else { return };
        let (url, folder) = (cluster.url(), cluster.folder.path().to_owned());
        drop(cluster);
        assert!(super::super::run_on(&url, "SELECT 1").await.is_err());
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn a_database_is_gone_after_its_test() {
        let Some(database) = TestDatabase::postgres().await else { return };
        let url = database.url().to_owned();
        super::super::run_on(&url, "SELECT 1").await.unwrap();
        drop(database);
        assert!(super::super::run_on(&url, "SELECT 1").await.is_err());
    }
}
