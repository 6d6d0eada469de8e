//! How an upstream is told, while it runs, to behave otherwise.

use super::builder::plain_tool;
use super::{Era, FakeUpstream, Fault, Tls};

impl FakeUpstream {
    /// Replaces the tools by such as [`super::Builder::tool`] makes.
    pub fn rename_tools(&self, names: &[&str]) {
        self.with_script(|script| script.tools = names.iter().map(|name| plain_tool(name)).collect());
    }

    /// Replaces the tools, given as raw JSON.
    pub fn set_tools(&self, tools: &[&str]) {
        self.with_script(|script| script.tools = tools.iter().map(|tool| (*tool).to_owned()).collect());
    }

    /// Scripts the result of a tool as raw JSON.
    pub fn set_result(&self, tool: &str, result: &str) {
        self.with_script(|script| script.results.insert(tool.to_owned(), result.to_owned()));
    }

    /// Answers 401 without this bearer token; `None` lets everybody in.
    pub fn set_token(&self, token: Option<&str>) {
        self.with_script(|script| script.token = token.map(ToOwned::to_owned));
    }

    /// Starts or stops issuing and asking for session ids.
    pub fn set_stateful(&self, stateful: bool) {
        self.with_script(|script| script.stateful = stateful);
    }

    /// Speaks other revisions from now on.
    pub fn set_era(&self, era: Era) {
        self.with_script(|script| script.era = era);
    }

    /// Replies with event streams, or in JSON.
    pub fn set_sse(&self, sse: bool) {
        self.with_script(|script| script.sse = sse);
    }

    /// Sends bodies in pieces of these sizes, over and over.
    pub fn set_pieces(&self, sizes: &[usize]) {
        self.with_script(|script| script.pieces = sizes.to_vec());
    }

    /// Misbehaves whenever this method arrives, until told otherwise.
    pub fn fault(&self, method: &str, fault: Fault) {
        self.with_script(|script| script.faults.insert(method.to_owned(), (fault, None)));
    }

    /// Misbehaves the next time this method arrives.
    pub fn fault_once(&self, method: &str, fault: Fault) {
        self.with_script(|script| script.faults.insert(method.to_owned(), (fault, Some(1))));
    }

    /// Behaves again.
    pub fn clear_faults(&self) {
        self.with_script(|script| script.faults.clear());
    }

    /// Secures connections otherwise from now on; those that there are stay as they are.
    pub fn set_tls(&self, tls: &Tls) {
        *self.tls.as_ref().unwrap().lock().unwrap() = tls.config();
    }
}
