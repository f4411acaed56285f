//! A server in Ironic's place that can lie in every way.
//!
//! Untouched it is truthful: it names its version, issues a token at the first lookup and hides it afterwards, checks
//! heartbeats as Ironic does, and takes inspection data. [`FakeIronic::lies`] makes the next requests of one kind go
//! wrong; [`FakeIronic::go_down`] closes its port. It speaks from threads of its own, over real sockets.

mod answers;
mod fault;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use serde_json::Value;

pub use self::answers::NODE;
pub use self::fault::Fault;

/// Longest time until something is asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `GET /`
    Root,
    /// `GET /v1/lookup`
    Lookup,
    /// `POST /v1/heartbeat/UUID`
    Heartbeat,
    /// `POST /v1/continue_inspection`
    Inspection,
    /// `POST /v1/drivers/NAME/vendor_passthru/lookup`
    DriverLookup,
    /// `POST /v1/nodes/UUID/vendor_passthru/lookup`
    NodeLookup,
    /// `POST /v1/nodes/UUID/vendor_passthru/heartbeat`
    NodeHeartbeat,
    /// Anything else.
    Unknown,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// What was asked.
    pub api: Api,
    /// When.
    pub at: Instant,
    /// `POST /v1/...?...`
    pub line: String,
    /// By name in lower case.
    pub headers: HashMap<String, String>,
    /// The body; null if there was none.
    pub body: Value,
}

/// The server. It goes down when dropped.
#[derive(Debug)]
pub struct FakeIronic {
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What the server knows.
#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    lies: HashMap<Api, VecDeque<Fault>>,
    truth: answers::Truth,
    /// Counts the times the server went down; who serves an earlier time ends.
    down: u32,
}

impl Default for FakeIronic {
    fn default() -> Self {
        Self::start()
    }
}

impl FakeIronic {
    /// A server on a free port of the loopback interface.
    pub fn start() -> Self {
        Self::start_on("127.0.0.1:0")
    }

    /// A server on this address.
    pub fn start_on(address: &str) -> Self {
        Self::bind(address, None)
    }

    /// A server that speaks TLS.
    pub fn start_with_tls(config: ServerConfig) -> Self {
        Self::bind("127.0.0.1:0", Some(Arc::new(config)))
    }

    fn bind(address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Self { address, tls, shared: Arc::default(), listening: Mutex::default() };
        server.listen(listener);
        server
    }

    /// One that knows only lookup and heartbeat as vendor passthru methods, of the driver or of the node.
    pub fn of_2015() -> Self {
        let server = Self::start();
        server.state().truth.is_old = true;
        server
    }

    /// The value for `api_url`.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.tls.is_some() { "s" } else { "" }, self.address)
    }

    /// Sets the seconds that lookups name as heartbeat timeout; 300 at first.
    pub fn set_heartbeat_timeout(&self, seconds: u32) {
        self.state().truth.heartbeat_timeout = seconds;
    }

    /// Makes this the node's properties.
    pub fn set_properties(&self, properties: Value) {
        self.state().truth.properties = properties;
    }

    /// Forgets the token it has given out and where the agent was, as Ironic does when it reboots a node.
    pub fn forget_agent(&self) {
        let mut state = self.state();
        state.truth.token_issued = false;
        state.truth.callback_url = None;
    }

    /// Lets it have given the token to somebody else.
    pub fn give_token_away(&self) {
        self.state().truth.token_issued = true;
    }

    /// Makes the next requests of this kind go wrong, each in its own way.
    pub fn lies(&self, api: Api, faults: impl IntoIterator<Item = Fault>) {
        self.state().lies.entry(api).or_default().extend(faults);
    }

    /// Closes the port. Connections are refused until it comes up again.
    pub fn go_down(&self) {
        self.state().down += 1;
        // Wakes the one that waits for a connection.
        drop(TcpStream::connect(self.address));
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = listening {
            thread.join().expect("serving does not panic");
        }
    }

    /// Opens the port again.
    pub fn come_up(&self) {
        self.listen(TcpListener::bind(self.address).expect("the port is still ours"));
    }

    /// The requests of one kind so far.
    pub fn received(&self, api: Api) -> Vec<Received> {
        of(&self.state(), api)
    }

    /// Waits until there were so many requests of one kind, and gives them.
    pub fn wait_for(&self, api: Api, count: usize) -> Vec<Received> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            let found = of(&state, api);
            if found.len() >= count {
                return found;
            }
            let rest = end.saturating_duration_since(Instant::now());
            let all: Vec<&str> = state.received.iter().map(|request| request.line.as_str()).collect();
            assert!(!rest.is_zero(), "{} of {count} {api:?} came; all requests: {all:#?}", found.len());
            state = self.shared.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for one more request of a kind than there were, and gives it.
    pub fn next(&self, api: Api) -> Received {
        let count = self.received(api).len() + 1;
        self.wait_for(api, count).swap_remove(count - 1)
    }

    fn listen(&self, listener: TcpListener) {
        let (shared, tls, epoch) = (self.shared.clone(), self.tls.clone(), self.state().down);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.state().down != epoch {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (shared, tls) = (shared.clone(), tls.clone());
                std::thread::spawn(move || wire::serve(stream, tls, &shared));
            }
        });
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for FakeIronic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.go_down();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request and decides on its answer.
    fn decide(&self, request: Received) -> Fault {
        let mut state = self.state();
        let lie = state.lies.get_mut(&request.api).and_then(VecDeque::pop_front);
        let answer = lie.unwrap_or_else(|| state.truth.answer(&request));
        state.received.push(request);
        self.changed.notify_all();
        answer
    }
}

impl Received {
    /// A header; empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn of(state: &State, api: Api) -> Vec<Received> {
    state.received.iter().filter(|request| request.api == api).cloned().collect()
}
