//! Code mode: programs that call tools.
//!
//! Owns who may run one at a time, what a program sees, how its calls are made and what is noted of it. A nested call
//! goes the way of a direct one: `execute_tool` makes both. The program itself runs in a process of
//! [`toolplane_sandbox`], which knows none of this.

mod audit;
mod bindings;
mod guarded;
mod limits;
mod memory;
mod places;
mod run;

use std::io;
use std::sync::Arc;

pub use self::audit::TARGET as AUDIT_TARGET;
pub(crate) use self::bindings::Bindings;
pub(crate) use self::guarded::Guarded;
pub use self::limits::Settings;
pub use self::memory::TooLittle;
use self::places::{Places, Turn};
pub(crate) use self::run::{Ended, Run};
use crate::caller::Caller;

/// Everything that runs share. Absent where code mode is off.
#[derive(Debug)]
pub(crate) struct CodeMode {
    settings: Settings,
    pool: toolplane_sandbox::Pool,
    places: Arc<Places>,
}

/// Why this machine runs no programs.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// There is no thread for it.
    #[error(transparent)]
    Thread(#[from] io::Error),
    /// No worker gets ready.
    #[error(transparent)]
    Worker(#[from] toolplane_sandbox::NotReady),
    /// Not one program fits into the memory that there is for them.
    #[error(transparent)]
    Memory(#[from] TooLittle),
}

/// Why a program has to wait for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The node runs as many as it may.
    Node,
    /// This caller does.
    Caller,
}

impl CodeMode {
    /// Makes the first workers ready.
    pub(crate) async fn start(settings: &Settings) -> Result<Self, Unavailable> {
        let settings = memory::fitted(settings)?;
        let pool = toolplane_sandbox::Pool::new(settings.pool())?;
        // Better not to start than to refuse every program of every caller.
        pool.check().await?;
        let places = Arc::new(Places::new(&settings));
        Ok(Self { settings, pool, places })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A place for one program of this caller.
    pub(crate) fn turn(&self, caller: &Caller) -> Result<Turn, Full> {
        Places::take(&self.places, caller)
    }
}
