//! The host as plugin code in the worker sees it: questions go out over the socket, answers come back to whoever
//! waits.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipa_plugin_api::reply::RawReply;
use ipa_plugin_api::services::HostServices;

use super::failed;
use crate::plugins::protocol::{self, BODY_LIMIT, Frame, Kind, NAME_LIMIT, UNUSABLE};
use crate::plugins::text::shortened;

/// Longest set of log pairs, in bytes.
const PAIRS_LIMIT: usize = 64 * 1024;

/// The worker's end of the socket.
#[derive(Debug)]
pub(super) struct Client {
    /// Serves no other purpose than to keep frames of several threads apart; it is held during one write.
    writer: Mutex<UnixStream>,
    waiting: Mutex<HashMap<u64, SyncSender<RawReply>>>,
    /// The calls under way, and whether they should end.
    calls: Mutex<HashMap<u64, bool>>,
    next_ticket: AtomicU64,
}

impl Client {
    pub(super) fn new(writer: UnixStream) -> Self {
        Self { writer: Mutex::new(writer), waiting: Mutex::default(), calls: Mutex::default(), next_ticket: 1.into() }
    }

    /// Sends a frame. An error means that the host has gone, which the reading side notices as well.
    pub(super) fn send(&self, frame: &Frame) {
        let _ = protocol::write(&mut *lock(&self.writer), frame);
    }

    pub(super) fn begin(&self, call: u64) {
        lock(&self.calls).insert(call, false);
    }

    pub(super) fn cancel(&self, call: u64) {
        if let Some(cancelled) = lock(&self.calls).get_mut(&call) {
            *cancelled = true;
        }
    }

    /// Sends the answer of a call.
    pub(super) fn finish(&self, call: u64, mut reply: RawReply) {
        lock(&self.calls).remove(&call);
        if reply.body.len() > BODY_LIMIT {
            let details = format!("the answer has {} bytes, more than the allowed {BODY_LIMIT}", reply.body.len());
            reply = RawReply { code: UNUSABLE, ..failed(&details) };
        }
        self.send(&Frame { code: reply.code, body: reply.body, ..Frame::new(Kind::Reply, call) });
    }

    /// Hands an answer of the host's to the thread that waits for it.
    pub(super) fn answer(&self, ticket: u64, reply: RawReply) {
        if let Some(waiting) = lock(&self.waiting).remove(&ticket) {
            // There is room for one, and one comes.
            let _ = waiting.try_send(reply);
        }
    }
}

impl HostServices for Client {
    fn log(&self, call: u64, level: u32, message: &str, pairs: &str) {
        let body = if pairs.len() <= PAIRS_LIMIT { pairs.as_bytes().to_vec() } else { b"{}".to_vec() };
        let name = shortened(message, NAME_LIMIT).to_owned();
        self.send(&Frame { code: level, name, body, ..Frame::new(Kind::Log, call) });
    }

    fn progress(&self, call: u64, percent: u32, message: &str) {
        let name = shortened(message, NAME_LIMIT).to_owned();
        self.send(&Frame { code: percent, name, ..Frame::new(Kind::Progress, call) });
    }

    fn is_cancelled(&self, call: u64) -> bool {
        lock(&self.calls).get(&call).copied().unwrap_or(false)
    }

    fn host_call(&self, call: u64, method: &str, args: &str) -> RawReply {
        if method.len() > NAME_LIMIT || args.len() > BODY_LIMIT {
            return failed(&format!("the arguments of {} are too large", shortened(method, 100)));
        }
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(1);
        lock(&self.waiting).insert(ticket, sender);
        let (name, body) = (method.to_owned(), args.as_bytes().to_vec());
        self.send(&Frame { ticket, name, body, ..Frame::new(Kind::HostCall, call) });
        receiver.recv().unwrap_or_else(|_| failed("the host is gone"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
