//! The gateway's end of a [template](crate::worker): how workers are copied.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair, sockopt,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::process::{Process, Started, Undertaker};
use super::starter::Binary;
use crate::worker::{ANSWER, TEMPLATE};

/// How long a template may take to make a copy. It has little priority, so a busy machine makes it slow.
const COPY_TIMEOUT: Duration = Duration::from_secs(10);

/// A process that copies itself. Ended when it is dropped.
#[derive(Debug)]
pub(super) struct Template {
    socket: OwnedFd,
    process: Process,
    undertaker: Undertaker,
}

impl Template {
    /// Starts one. It gets ready while others go on; the first copy waits for it.
    pub(super) fn start(binary: &Binary, undertaker: &Undertaker) -> io::Result<Self> {
        let (socket, its_end) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for way in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&socket, way, Some(COPY_TIMEOUT))?;
        }
        let child = binary.command(TEMPLATE).stdin(its_end).stdout(std::process::Stdio::null()).spawn()?;
        let process = Process::of(&child, undertaker)?;
        Ok(Self { socket, process, undertaker: undertaker.clone() })
    }

    /// A copy that waits for a program, or soon will.
    pub(super) fn copy(&self) -> io::Result<Started> {
        let (its_input, input) = pipe_with(PipeFlags::CLOEXEC)?;
        let (output, its_output) = pipe_with(PipeFlags::CLOEXEC)?;
        let its_pipes = [its_input.as_fd(), its_output.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        if !with.push(SendAncillaryMessage::ScmRights(&its_pipes)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(&self.socket, &[io::IoSlice::new(b"w")], &mut with, SendFlags::NOSIGNAL)?;
        let id = self.answer()?;
        Ok(Started { process: Process::new(id, &self.undertaker), input, output })
    }

    /// The id of a copy.
    fn answer(&self) -> io::Result<Pid> {
        let mut bytes = [0; ANSWER];
        let (_, length) = loop {
            match recv(&self.socket, &mut bytes, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        if length != ANSWER {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let number = i32::from_le_bytes(bytes);
        Pid::from_raw(number)
            .filter(|_| number > 0)
            .ok_or_else(|| io::Error::from_raw_os_error(number.saturating_neg()))
    }

    /// What it ended with, if it ends by itself.
    pub(super) fn exit_code(mut self) -> Option<i32> {
        self.process.exit_code_now()
    }
}

impl Drop for Template {
    /// Copies that it has made and told of, and nobody asked for any more, are waited for: they are this process's children.
    fn drop(&mut self) {
        self.process.end(None);
        while let Ok(id) = self.answer() {
            drop(Process::new(id, &self.undertaker));
        }
    }
}
