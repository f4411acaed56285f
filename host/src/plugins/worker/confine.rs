//! The first steps of a worker: its descriptors, its limits, its ties to the host.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Resource, Rlimit, Signal};

use crate::plugins::setup::Setup;

/// Lowest number of the socket: out of the way of plugins that close or reuse low descriptors.
const SOCKET_FROM: i32 = 200;

/// Moves the socket away from standard input. Afterwards 0 is /dev/null and 1 the same as 2, which the host reads: what
/// a plugin prints becomes log lines.
pub(super) fn take_socket() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    rustix::net::sockopt::socket_type(stdin)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, SOCKET_FROM)?;
    let null = OpenOptions::new().read(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(socket)
}

/// Receives the plugin file, which comes with the first byte.
pub(super) fn receive_file(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        })
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Sets limits and makes sure that the worker does not outlive its host.
pub(super) fn confine(setup: &Setup) -> io::Result<()> {
    // The end of the socket tells that the host is gone, and then there is something to clean up. So its death must not
    // kill this process at once, only wake it should it be stopped. The host starts workers from a thread that lives as
    // long as itself, since the signal comes when the starting *thread* ends.
    rustix::process::set_parent_process_death_signal(Some(Signal::CONT))?;
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero);
    if parent.is_none_or(|pid| u32::try_from(pid.get()) != Ok(setup.host)) {
        return Err(io::Error::other("the host is gone"));
    }
    limit(Resource::As, setup.limits.address_space)?;
    limit(Resource::Nofile, setup.limits.open_files)?;
    limit(Resource::Core, 0)?;
    setup.mark.put_on_this_process()?;
    // External tools are started by the host, so this binds only what the plugin starts by itself.
    rustix::thread::set_no_new_privs(true)?;
    // A machine short of memory should lose a plugin, not the agent. Not all containers allow it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let name: Vec<u8> =
        format!("ipa:{}", setup.name).into_bytes().into_iter().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(name) = CString::new(name) {
        rustix::thread::set_name(&name)?;
    }
    Ok(())
}

/// Lowers a limit, hard and soft; one that is lower already stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let maximum = rustix::process::getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    rustix::process::setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })?;
    Ok(())
}
