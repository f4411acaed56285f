//! A worker as the host sees it: starts it, talks to it, notices its end.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ipa_plugin_api::reply::{RawReply, VALUE};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use slog::{Logger, debug, o, warn};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::death::{self, Death};
use super::host::Host;
use super::link::{Outcome, Request, open_reply};
use super::output::{self, Tail, Throttle};
use super::process::Process;
use super::protocol::{self, Frame, Kind};
use super::scope::Scope;
use super::sealed::Sealed;
use super::services;
use super::setup::Setup;
use super::spare::Spare;
use super::strays::{self, Mark, Marked};
use super::vet::Vetted;

/// Frames that may wait for a slow worker.
const OUTGOING: usize = 64;
/// How long the last frames and lines of a dead worker may take to arrive. Whatever could hold its socket open was
/// killed with it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running worker. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Remote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    label: String,
    logger: Logger,
    host: Weak<Host>,
    process: Process,
    mark: Mark,
    outgoing: mpsc::Sender<Frame>,
    state: Mutex<State>,
    tail: Arc<Tail>,
    dead: watch::Sender<Option<Arc<Death>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the answers of running calls go, by call; 0 is the loading and the unloading. None once the worker is dead.
    calls: Option<HashMap<u64, Running>>,
    /// Why the host killed it, if it did, and whether that counts against the plugin.
    killed: Option<(String, bool)>,
    /// True once it was asked to end. What it leaves behind is then seen to once for all workers.
    unloading: bool,
}

#[derive(Debug)]
struct Running {
    reply: oneshot::Sender<RawReply>,
    /// None while the plugin is loaded or unloaded.
    scope: Option<Arc<Scope>>,
}

impl Remote {
    /// Starts a worker and has it load the plugin.
    pub(crate) async fn start(host: &Arc<Host>, plugin: Vetted) -> Result<Self, String> {
        let Vetted { file, manifest, sealed, .. } = plugin;
        let label = format!("plugin {} ({file})", manifest.name);
        let setup = Setup {
            config: host.options.section(&manifest.name).to_string(),
            name: manifest.name,
            limits: host.options.limits,
            host: std::process::id(),
            mark: Mark::new(),
        };
        let failed = |error: io::Error| format!("its worker could not be started: {error}");
        let remote = Self::spawn(host, &setup, label, &sealed).await.map_err(failed)?;
        // The worker has its own descriptor by now.
        drop(sealed);
        let (sender, reply) = oneshot::channel();
        remote.0.expect(0, Running { reply: sender, scope: None }).map_err(|death| death.to_string())?;
        let body = serde_json::to_vec(&setup).map_err(|error| error.to_string())?;
        remote.0.send(Frame { body, ..Frame::new(Kind::Load, 0) }).await;
        match reply.await {
            Ok(reply) if reply.code == VALUE => Ok(remote),
            Ok(reply) => match open_reply(&setup.name, "new", &reply) {
                Err(error) => Err(error.details().to_owned()),
                Ok(_) => Err("it answered nonsense".to_owned()),
            },
            Err(_) => Err(remote.died().await.map_or_else(|| "its worker died".to_owned(), |death| death.to_string())),
        }
    }

    async fn spawn(host: &Arc<Host>, setup: &Setup, label: String, sealed: &Sealed) -> io::Result<Self> {
        let spare = match host.take_spare() {
            Some(spare) => spare,
            None => Spare::start(&host.options.worker_program, host.runner.spawner())?,
        };
        let (mut child, ours) = spare.take().await?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("it has no standard error"))?;
        let process = Process::new(child)?;
        let connected = send_file(&ours, sealed).and_then(|()| {
            ours.set_nonblocking(true)?;
            Ok((UnixStream::from_std(ours)?.into_split(), pipe::Receiver::from_owned_fd(stderr.into())?))
        });
        let ((reader, writer), stderr) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                process.kill();
                let _ = process.wait().await;
                return Err(error);
            }
        };
        let logger = host.logger.new(o!("plugin" => setup.name.clone()));
        let (outgoing, frames) = mpsc::channel(OUTGOING);
        let tail = Arc::new(Tail::default());
        let inner = Arc::new(Inner {
            label,
            logger: logger.clone(),
            host: Arc::downgrade(host),
            process,
            mark: setup.mark,
            outgoing,
            state: Mutex::new(State { calls: Some(HashMap::new()), ..State::default() }),
            tail: Arc::clone(&tail),
            dead: watch::Sender::new(None),
        });
        let written = tokio::spawn(write(writer, frames));
        let read = tokio::spawn(Arc::clone(&inner).read(reader));
        let printed = tokio::spawn(output::follow(stderr, logger, tail));
        tokio::spawn(Arc::clone(&inner).watch(read, printed, written));
        Ok(Self(inner))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.process.id()
    }

    pub(crate) fn death(&self) -> Option<Arc<Death>> {
        self.0.dead.borrow().clone()
    }

    /// Waits for the worker's end.
    pub(crate) async fn died(&self) -> Option<Arc<Death>> {
        let mut dead = self.0.dead.subscribe();
        let death = dead.wait_for(Option::is_some).await.ok()?;
        death.clone()
    }

    pub(crate) async fn request(&self, scope: &Arc<Scope>, request: Request) -> Outcome {
        let (sender, reply) = oneshot::channel();
        let running = Running { reply: sender, scope: Some(Arc::clone(scope)) };
        if let Err(death) = self.0.expect(scope.id, running) {
            return Outcome::NotSent(death);
        }
        let frame = match request {
            Request::Evaluate => Frame { code: scope.depth, ..Frame::new(Kind::Evaluate, scope.id) },
            Request::Call(args) => Frame {
                code: scope.depth,
                name: scope.method.clone(),
                body: args.into_bytes(),
                ..Frame::new(Kind::Call, scope.id)
            },
        };
        self.0.send(frame).await;
        match reply.await {
            Ok(reply) => Outcome::Reply(reply),
            Err(_) => Outcome::Died(self.died().await.unwrap_or_else(|| Arc::new(self.0.unknown_death()))),
        }
    }

    /// Tells the worker that a call should end. One that reads nothing any more is not waited for.
    pub(crate) fn tell_cancelled(&self, scope: &Scope) {
        let _ = self.0.outgoing.try_send(Frame::new(Kind::Cancel, scope.id));
    }

    /// Lets the manager end, once its calls have, and then ends the worker. What it says of that is one line.
    pub(crate) async fn unload(&self, limit: Duration) -> Result<(), String> {
        let (sender, reply) = oneshot::channel();
        if self.0.expect(0, Running { reply: sender, scope: None }).is_err() {
            return Ok(());
        }
        self.0.lock().unloading = true;
        self.0.send(Frame::new(Kind::Unload, 0)).await;
        let result = match tokio::time::timeout(limit, reply).await {
            Ok(Ok(reply)) => open_reply(&self.0.label, "drop", &reply).map(drop).map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("it died of it".to_owned()),
            Err(_) => Err(format!("it did not end within {limit:?}")),
        };
        self.kill("was ended by the agent".to_owned(), false);
        self.died().await;
        result
    }

    /// Kills the worker; `why` becomes the reason of its death.
    pub(crate) fn kill(&self, why: String, counts: bool) {
        self.0.lock().killed.get_or_insert((why, counts));
        self.0.process.kill();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill("was ended by the agent".to_owned(), false);
    }
}

impl Inner {
    /// Notes that an answer will come for a call; fails with the death of a worker that cannot answer any more.
    fn expect(&self, call: u64, running: Running) -> Result<(), Arc<Death>> {
        match &mut self.lock().calls {
            Some(calls) => {
                calls.insert(call, running);
                Ok(())
            }
            None => Err(self.dead.borrow().clone().unwrap_or_else(|| Arc::new(self.unknown_death()))),
        }
    }

    /// Puts a frame into the queue. A frame for a dead worker vanishes; its death is told elsewhere.
    async fn send(&self, frame: Frame) {
        let _ = self.outgoing.send(frame).await;
    }

    /// Handles what the worker sends until its end. Never waits for anything but the socket.
    async fn read(self: Arc<Self>, mut reader: OwnedReadHalf) {
        let mut throttle = Throttle::new(Instant::now());
        loop {
            match protocol::read_async(&mut reader).await {
                Ok(Some(frame)) => self.take(frame, &mut throttle),
                Ok(None) => break,
                Err(error) => {
                    self.lock()
                        .killed
                        .get_or_insert((format!("sent an unreadable message ({error}) and was ended"), true));
                    break;
                }
            }
        }
    }

    fn take(self: &Arc<Self>, frame: Frame, throttle: &mut Throttle) {
        match frame.kind {
            Kind::Loaded | Kind::Reply => {
                let running = self.lock().calls.as_mut().and_then(|calls| calls.remove(&frame.call));
                if let Some(running) = running {
                    // The call may have been given up.
                    let _ = running.reply.send(RawReply { code: frame.code, body: frame.body });
                }
            }
            Kind::Log => {
                let (passes, held_back) = throttle.pass(Instant::now());
                if let Some(count) = held_back {
                    warn!(self.logger, "{count} log records were left out: there were too many");
                }
                if passes {
                    services::log(
                        &self.logger,
                        self.scope(frame.call).as_deref(),
                        frame.code,
                        &frame.name,
                        &frame.body,
                    );
                }
            }
            Kind::Progress => {
                if let Some(scope) = self.scope(frame.call) {
                    services::progress(&scope, frame.code, &frame.name);
                }
            }
            Kind::HostCall => {
                let inner = Arc::clone(self);
                tokio::spawn(async move { inner.serve(frame).await });
            }
            // A worker sends nothing else; whatever this is, it is not ours to answer.
            _ => debug!(self.logger, "ignored a message of the wrong kind"; "kind" => ?frame.kind),
        }
    }

    async fn serve(&self, frame: Frame) {
        let (ticket, call) = (frame.ticket, frame.call);
        let reply = match (self.host.upgrade(), self.scope(call)) {
            (Some(host), Some(scope)) => {
                let served = services::serve(&host, &scope, &frame.name, &frame.body);
                tokio::select! {
                    reply = served => reply,
                    // Nobody waits for the answer any more.
                    () = scope.ended() => return,
                }
            }
            (None, _) => services::refusal("the agent is ending"),
            (_, None) => services::refusal("the host can be asked only during a call, and this call has ended"),
        };
        self.send(Frame { ticket, code: reply.code, body: reply.body, ..Frame::new(Kind::HostReply, call) }).await;
    }

    fn scope(&self, call: u64) -> Option<Arc<Scope>> {
        self.lock().calls.as_ref()?.get(&call)?.scope.clone()
    }

    /// Waits for the process to end, lets its last words arrive and tells all that wait for it.
    async fn watch(self: Arc<Self>, mut read: JoinHandle<()>, mut printed: JoinHandle<()>, written: JoinHandle<()>) {
        let status = tokio::select! {
            status = self.process.wait() => status,
            _ = &mut read => self.without_socket().await,
        };
        let _ = tokio::time::timeout(LAST_WORDS, async {
            // Polling it again after it has ended would panic.
            if !read.is_finished() {
                let _ = (&mut read).await;
            }
            let _ = (&mut printed).await;
        })
        .await;
        for task in [read, printed, written] {
            task.abort();
        }
        if !self.lock().unloading {
            strays::end(&self.logger, Marked::By(self.mark)).await;
        }
        let (calls, killed) = {
            let mut state = self.lock();
            let calls = state.calls.take().unwrap_or_default();
            (calls, state.killed.clone())
        };
        let mut running: Vec<String> = calls
            .values()
            .map(|running| {
                running.scope.as_ref().map_or_else(|| "its start or end".to_owned(), |scope| scope.method.clone())
            })
            .collect();
        running.sort();
        let death = self.death_of(status, killed, running);
        if death.counts {
            warn!(self.logger, "{death}"; "pid" => self.process.id());
        }
        self.dead.send_replace(Some(Arc::new(death)));
        for (_, running) in calls {
            if let Some(scope) = running.scope {
                scope.end();
            }
            // Dropping the sender tells the caller, who finds the death.
        }
    }

    /// Ends a worker whose socket is closed. Mostly it is just ending by itself, and its own way tells more.
    async fn without_socket(&self) -> io::Result<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(LAST_WORDS, self.process.wait()).await {
            return status;
        }
        self.lock().killed.get_or_insert(("closed its connection to the agent and was ended".to_owned(), true));
        self.process.kill();
        self.process.wait().await
    }

    fn death_of(&self, status: io::Result<ExitStatus>, killed: Option<(String, bool)>, running: Vec<String>) -> Death {
        let (how, counts) = killed.unwrap_or_else(|| {
            let how = status.map_or_else(|error| format!("ended ({error})"), death::describe);
            (how, true)
        });
        Death { plugin: self.label.clone(), how, running, output: self.tail.lines(), counts }
    }

    fn unknown_death(&self) -> Death {
        Death {
            plugin: self.label.clone(),
            how: "is gone".to_owned(),
            running: Vec::new(),
            output: self.tail.lines(),
            counts: true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(mut writer: OwnedWriteHalf, mut frames: mpsc::Receiver<Frame>) {
    while let Some(frame) = frames.recv().await {
        if protocol::write_async(&mut writer, &frame).await.is_err() {
            break;
        }
    }
}

/// Hands the plugin file to the worker, with one byte since a message without one carries nothing.
fn send_file(socket: &StdStream, sealed: &Sealed) -> io::Result<()> {
    let files = [sealed.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no room for the descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(b"F")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
