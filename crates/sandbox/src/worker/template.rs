//! A worker that never sees a program: it is made ready once, and workers are copies of it.
//!
//! Owns the copying. Loading the binary, relocating its tables and warming the interpreter up cost milliseconds; a copy
//! costs parts of one, shares every page that it does not write to, and is made at the priority of workers.
//! The gateway sends the pipes of each worker over a socket and is told the id of the new process, whose parent it is:
//! it waits for a worker as if it had started it itself.
//! A template has one thread, so a copy is complete, and it has seen no program, so there is nothing to inherit.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg,
};

/// What the gateway is told of a copy: its id or, below zero, the number of the error.
pub(crate) const ANSWER: usize = size_of::<i32>();

/// The pipes of a worker: what it reads, what it writes.
const PIPES: usize = 2;

/// Copies this process for every order until the gateway closes the socket; true in a copy.
pub(super) fn serve() -> bool {
    loop {
        let Ok(Some(order)) = receive(rustix::stdio::stdin()) else { return false };
        match copy() {
            Ok(None) => return take(&order).is_ok(),
            Ok(Some(id)) => {
                if answer(id).is_err() {
                    return false;
                }
            }
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(libc::EIO).saturating_abs().saturating_neg();
                if answer(number).is_err() {
                    return false;
                }
            }
        }
    }
}

/// The pipes of the next worker; none when the gateway wants no more.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<[OwnedFd; PIPES]>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PIPES))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = loop {
        match recvmsg(socket, &mut [io::IoSliceMut::new(&mut byte)], &mut with, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut pipes = Vec::new();
    for message in with.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            pipes.extend(descriptors);
        }
    }
    let pipes = pipes.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Some(pipes))
}

fn answer(number: i32) -> io::Result<()> {
    let mut nothing = SendAncillaryBuffer::default();
    let bytes = number.to_le_bytes();
    sendmsg(rustix::stdio::stdin(), &[io::IoSlice::new(&bytes)], &mut nothing, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// In a copy: puts the pipes where a worker expects them. The socket is gone with that.
fn take([input, output]: &[OwnedFd; PIPES]) -> io::Result<()> {
    rustix::stdio::dup2_stdin(input.as_fd())?;
    rustix::stdio::dup2_stdout(output.as_fd())?;
    Ok(())
}

/// Another process like this one, a child of the gateway; nothing in the copy, its id here.
#[expect(unsafe_code, reason = "no safe function copies a process")]
fn copy() -> io::Result<Option<i32>> {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: this process has one thread, so no lock is held by one that the copy lacks, and nothing is shared.
    // The C library's notion of the copy's first thread is stale in its id alone, which nothing here asks it for.
    let id = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    match id {
        0 => Ok(None),
        1.. => Ok(i32::try_from(id).ok()),
        _ => Err(io::Error::last_os_error()),
    }
}
