//! The worker: the process in which one plugin runs.
//!
//! It is this program again, started with the single argument `worker` and a socket to the host as its standard
//! input. It has no runtime and no threads but those in which plugin code runs, so it starts within 3 ms and takes less
//! than a megabyte. It lives as long as the socket: once that is closed, for whatever reason, it kills what the plugin
//! started and then its own process group, so that nothing of a plugin survives its host.

mod client;
mod confine;
mod pool;
mod slot;

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use ipa_plugin_api::abi::loader::Plugin;
use ipa_plugin_api::error::HwError;
use ipa_plugin_api::reply::{RawReply, VALUE};
use rustix::process::{Signal, kill_current_process_group};

use self::client::Client;
use self::pool::{Job, Pool};
use self::slot::{Manager, Slot};
use super::protocol::{self, Frame, Kind};
use super::setup::Setup;
use super::strays::{self, Mark, Marked};

/// Runs a worker until its host has gone. Call it before anything else of the program is set up.
pub fn worker_main() -> ! {
    let error = match serve() {
        Ok(never) => match never {},
        Err(error) => error,
    };
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("ipa-host worker: {error}\n"));
    std::process::exit(70)
}

/// What never is.
enum Never {}

fn failure(what: &str, error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

fn serve() -> io::Result<Never> {
    let socket = confine::take_socket()
        .map_err(|error| failure("the agent starts this command itself, with a socket as standard input", error))?;
    let file = confine::receive_file(&socket).map_err(|error| failure("no plugin file came from the host", error))?;
    let mut reader = UnixStream::from(socket);
    let client = Arc::new(Client::new(reader.try_clone()?));
    let Some(first) = protocol::read(&mut reader)? else { return Err(io::Error::other("the host is gone")) };
    if first.kind != Kind::Load {
        return Err(io::Error::other("the first message is not Load"));
    }
    let setup: Setup = serde_json::from_slice(&first.body).map_err(|error| failure("setup", error))?;
    confine::confine(&setup).map_err(|error| failure("limits of the worker", error))?;
    let mark = setup.mark;

    let slot: Arc<Slot> = Arc::default();
    let pool = Pool::new();
    {
        let (client, slot) = (Arc::clone(&client), Arc::clone(&slot));
        pool.run(Job::new(0, move || {
            let reply = load(&file, &setup, &client, &slot);
            client.send(&Frame { code: reply.code, body: reply.body, ..Frame::new(Kind::Loaded, 0) });
        }));
    }
    loop {
        match protocol::read(&mut reader) {
            Ok(Some(frame)) => take(frame, &client, &slot, &pool),
            // Closed, or unusable because the plugin meddled with it.
            Ok(None) | Err(_) => end(mark),
        }
    }
}

/// Handles one message of the host's. Never blocks: calls run in the pool.
fn take(frame: Frame, client: &Arc<Client>, slot: &Arc<Slot>, pool: &Arc<Pool>) {
    match frame.kind {
        Kind::Cancel => client.cancel(frame.call),
        Kind::HostReply => client.answer(frame.ticket, RawReply { code: frame.code, body: frame.body }),
        Kind::Evaluate | Kind::Call => {
            client.begin(frame.call);
            let (client, slot) = (Arc::clone(client), Arc::clone(slot));
            pool.run(Job::new(frame.code, move || {
                let reply = match slot.get() {
                    None => failed("the plugin is not loaded"),
                    Some(manager) => call(&manager, &frame),
                };
                client.finish(frame.call, reply);
            }));
        }
        Kind::Unload => {
            let (client, slot) = (Arc::clone(client), Arc::clone(slot));
            pool.run(Job::new(0, move || slot.empty(&client)));
        }
        // The host sends nothing else.
        _ => {}
    }
}

fn call(manager: &Manager, frame: &Frame) -> RawReply {
    let Some(instance) = manager.instance() else { return failed("the plugin is ending") };
    if frame.kind == Kind::Evaluate {
        return instance.evaluate(frame.call);
    }
    match str::from_utf8(&frame.body) {
        Ok(args) => instance.call(frame.call, &frame.name, args),
        Err(error) => failed(&format!("the arguments are not UTF-8: {error}")),
    }
}

fn load(file: &OwnedFd, setup: &Setup, client: &Arc<Client>, slot: &Slot) -> RawReply {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let plugin = match Plugin::open(&path) {
        Ok(plugin) => plugin,
        Err(error) => return failed(&error.to_string()),
    };
    match plugin.create(client.clone(), &setup.config) {
        Ok(made) => {
            slot.fill(made, Arc::clone(client));
            RawReply { code: VALUE, body: b"null".to_vec() }
        }
        Err(reply) => reply,
    }
}

fn failed(details: &str) -> RawReply {
    let (code, body) = HwError::command_execution(details).to_reply();
    RawReply { code, body }
}

/// Ends the worker with everything the plugin started. SIGKILL, since a plugin may ignore anything else; the manager
/// has had its chance to end before, by [`Kind::Unload`].
fn end(mark: Mark) -> ! {
    strays::kill(Marked::By(mark));
    let _ = kill_current_process_group(Signal::KILL);
    std::process::abort()
}
