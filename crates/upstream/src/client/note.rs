//! What an upstream says while a call runs, for whoever wants to hear it.

use std::fmt;

use serde_json::value::RawValue;

/// Hears what an upstream says while a call runs. It is called from the task that reads the reply: it must not block.
pub trait Listen: fmt::Debug + Send + Sync {
    /// Something was said.
    fn hear(&self, note: Note<'_>);
}

/// The parameters of a notification, as they were sent.
#[derive(Debug, Clone, Copy)]
pub enum Note<'a> {
    /// Progress that came with the reply to this call; whether it names the caller's token is for the listener to see.
    Progress(&'a RawValue),
    /// A log message.
    Log(&'a RawValue),
}

impl<'a> Note<'a> {
    /// Sorts a notification.
    pub(super) fn of(method: &str, params: Option<&'a RawValue>) -> Option<Self> {
        match method {
            "notifications/progress" => params.map(Self::Progress),
            "notifications/message" => params.map(Self::Log),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_log_messages_are_notes_and_nothing_else_is() {
        let params: &RawValue = serde_json::from_str("{}").unwrap();
        assert!(matches!(Note::of("notifications/progress", Some(params)), Some(Note::Progress(_))));
        assert!(matches!(Note::of("notifications/message", Some(params)), Some(Note::Log(_))));
        assert!(Note::of("notifications/tools/list_changed", Some(params)).is_none());
        assert!(Note::of("notifications/progress", None).is_none());
    }
}
