//! The state that all parts of the agent share.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Value, json};
use slog::{Logger, info, warn};
use tokio::sync::{Notify, watch};

use crate::commands::Engine;
use crate::extensions::{self, Deadlines, Extension};
use crate::log::Logging;
use crate::managers::{BoxFuture, CallContext, Managers};
use crate::metrics::Requests;
use crate::power::ClockOptions;
use crate::process::{Request, Runner};
use crate::root::Root;

/// Longest time for one interface to go down.
const LINK_DOWN_DEADLINE: Duration = Duration::from_secs(10);

/// What the command line and the configuration decide for the whole run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The agent's version, as Ironic sees it.
    pub version: String,
    /// True if there is no Ironic: no lookup, no heartbeat, node data by command.
    pub standalone: bool,
    /// True if commands that change the machine are refused.
    pub read_only: bool,
    /// The token given at boot, if any.
    pub agent_token: Option<String>,
    /// Most lines of the journal in a log collection; None for all of them.
    pub journal_lines: Option<u32>,
    /// How the clocks are set.
    pub clock: ClockOptions,
    /// Where the machine's files are.
    pub root: Root,
    /// True if browsers get the API's document like everyone else, and no page.
    pub no_status_page: bool,
    /// True if there is nothing at `/metrics`.
    pub no_metrics: bool,
}

/// A heartbeat that was sent, and what Ironic said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// When it was sent.
    pub time: SystemTime,
    /// The answer or the failure, one line for the operator.
    pub answer: String,
}

/// Takes node data as a lookup answers it.
pub type NodeInfoHandler = Box<dyn Fn(Value) -> BoxFuture<'static, HwResult<()>> + Send + Sync>;

/// The shared state.
pub struct Agent {
    settings: Settings,
    token: RwLock<Option<Arc<str>>>,
    token_waived: AtomicBool,
    started_at: OnceLock<f64>,
    status: RwLock<Bytes>,
    engine: Engine,
    extensions: &'static [&'static Extension],
    managers: Arc<dyn Managers>,
    runner: Runner,
    logging: Logging,
    deadlines: Deadlines,
    heartbeat: Notify,
    serving: watch::Sender<bool>,
    locked_down: AtomicBool,
    on_node_info: OnceLock<NodeInfoHandler>,
    node_uuid: RwLock<Option<Arc<str>>>,
    last_heartbeat: RwLock<Option<Heartbeat>>,
    requests: Requests,
}

impl Agent {
    /// An agent that has not started to serve.
    pub fn new(settings: Settings, managers: Arc<dyn Managers>, runner: Runner, logging: Logging) -> Arc<Self> {
        Self::with_extensions(settings, managers, runner, logging, extensions::ALL)
    }

    /// An agent with other commands than the usual ones.
    pub fn with_extensions(
        settings: Settings,
        managers: Arc<dyn Managers>,
        runner: Runner,
        logging: Logging,
        extensions: &'static [&'static Extension],
    ) -> Arc<Self> {
        let agent = Self {
            token: RwLock::new(settings.agent_token.as_deref().filter(|token| !token.is_empty()).map(Arc::from)),
            token_waived: AtomicBool::new(false),
            started_at: OnceLock::new(),
            status: RwLock::default(),
            engine: Engine::default(),
            extensions,
            managers,
            runner,
            logging,
            deadlines: Deadlines::default(),
            heartbeat: Notify::new(),
            serving: watch::Sender::new(true),
            locked_down: AtomicBool::new(false),
            on_node_info: OnceLock::new(),
            node_uuid: RwLock::default(),
            last_heartbeat: RwLock::default(),
            requests: Requests::default(),
            settings,
        };
        agent.write_status();
        Arc::new(agent)
    }

    /// The root logger.
    pub fn log(&self) -> &Logger {
        self.logging.log()
    }

    /// The log's controls and its newest lines.
    pub fn logging(&self) -> &Logging {
        &self.logging
    }

    /// The settings of this run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The commands and their history.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The plugin side.
    pub fn managers(&self) -> &dyn Managers {
        &*self.managers
    }

    /// The one that starts external programs.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// The extension with this name.
    pub fn extension(&self, name: &str) -> Option<&'static Extension> {
        self.extensions.iter().copied().find(|extension| extension.name == name)
    }

    /// Deadlines of the steps that were listed last.
    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// True if there is no Ironic.
    pub fn is_standalone(&self) -> bool {
        self.settings.standalone
    }

    /// True if commands that change the machine are refused.
    pub fn is_read_only(&self) -> bool {
        self.settings.read_only
    }

    /// Notes that the agent runs, once. The time is part of the status.
    pub fn mark_started(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let _ = self.started_at.set(now.as_secs_f64());
        self.write_status();
    }

    #[cfg(test)]
    pub(crate) fn mark_started_at(&self, epoch: f64) {
        let _ = self.started_at.set(epoch);
        self.write_status();
    }

    fn write_status(&self) {
        let status = json!({"started_at": self.started_at.get(), "version": self.settings.version});
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = Bytes::from(status.to_string());
    }

    /// `{"started_at": <seconds since 1970, or null>, "version": "<version>"}`.
    pub fn status_json(&self) -> Bytes {
        self.status.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token that Ironic and the agent share, if there is one yet.
    pub fn token(&self) -> Option<Arc<str>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the token.
    pub fn set_token(&self, token: &str) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::from(token));
    }

    /// Takes commands without a token from now on, as long as there is none: for an Ironic that knows no tokens.
    pub fn waive_token(&self) {
        self.token_waived.store(true, Ordering::SeqCst);
    }

    /// True if the token is the agent's own. Without a token of its own no token fits. Takes the same time wherever two
    /// tokens differ.
    pub fn accepts_token(&self, given: &str) -> bool {
        match self.token() {
            Some(token) if !token.is_empty() => !given.is_empty() && same_text(token.as_bytes(), given.as_bytes()),
            _ => self.token_waived.load(Ordering::SeqCst),
        }
    }

    /// Sets who takes the node data of `poll.set_node_info`, once.
    pub fn on_node_info(&self, handler: NodeInfoHandler) {
        let _ = self.on_node_info.set(handler);
    }

    /// Hands over node data.
    ///
    /// # Errors
    /// The data is not what a lookup answers.
    pub async fn accept_node_info(&self, info: Value) -> HwResult<()> {
        let node = info["node"].clone();
        match self.on_node_info.get() {
            Some(handler) => {
                handler(info).await?;
                self.note_node(&node);
                Ok(())
            }
            None => Err(HwError::command_execution("the agent takes no node data before it has started")),
        }
    }

    /// Remembers the node that this machine is, as Ironic describes it, for the managers too.
    pub async fn cache_node(&self, node: &Value) {
        self.note_node(node);
        self.managers.cache_node(node.clone()).await;
    }

    fn note_node(&self, node: &Value) {
        if let Some(uuid) = node["uuid"].as_str() {
            *self.node_uuid.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::from(uuid));
        }
    }

    /// The uuid of the node that this machine is, if that is known yet.
    pub fn node_uuid(&self) -> Option<Arc<str>> {
        self.node_uuid.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what became of a heartbeat.
    pub fn note_heartbeat(&self, heartbeat: Heartbeat) {
        *self.last_heartbeat.write().unwrap_or_else(PoisonError::into_inner) = Some(heartbeat);
    }

    /// The last heartbeat, if there was one.
    pub fn last_heartbeat(&self) -> Option<Heartbeat> {
        self.last_heartbeat.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests that the API has answered.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// When the agent began to run, in seconds since 1970.
    pub fn started_at(&self) -> Option<f64> {
        self.started_at.get().copied()
    }

    /// Makes the next heartbeat due now.
    pub fn force_heartbeat(&self) {
        if !self.is_standalone() {
            self.heartbeat.notify_one();
        }
    }

    /// Returns when a heartbeat is forced; at once if one was since the last call.
    pub async fn heartbeat_forced(&self) {
        self.heartbeat.notified().await;
    }

    /// Ends serving. Answers on their way out are still delivered.
    pub fn stop_serving(&self) {
        self.serving.send_replace(false);
    }

    /// True until serving is to end.
    pub fn is_serving(&self) -> bool {
        *self.serving.borrow()
    }

    /// Returns when serving is to end.
    pub async fn serving_ends(&self) {
        // The sender lives in self, so that waiting ends only by a stop.
        let _ = self.serving.subscribe().wait_for(|serving| !*serving).await;
    }

    /// Ends serving, and has the machine cut off afterwards.
    pub fn lock_down(&self) {
        self.locked_down.store(true, Ordering::SeqCst);
        self.stop_serving();
    }

    /// True after [`lock_down`](Self::lock_down).
    pub fn is_locked_down(&self) -> bool {
        self.locked_down.load(Ordering::SeqCst)
    }

    /// Cuts the machine off, after the API has stopped: sets every network interface down, and then never returns, so
    /// that the boot unit does not start the agent again.
    pub async fn lockdown_tail(&self) -> Infallible {
        info!(self.log(), "locking down the system");
        for interface in self.interfaces().await {
            let request = Request::new(["ip", "link", "set", "dev", &interface, "down"]).deadline(LINK_DOWN_DEADLINE);
            if let Err(error) = self.runner.run(request).await {
                warn!(self.log(), "interface stays up"; "interface" => &interface, "error" => %error);
            }
        }
        info!(self.log(), "system locked down; the process stays so that it is not started again");
        std::future::pending().await
    }

    /// Names of all network interfaces: those the managers know, or else those of the kernel.
    async fn interfaces(&self) -> Vec<String> {
        let answer = self.managers.dispatch(&CallContext::new(), "list_network_interfaces", json!({})).await;
        let mut names: Vec<String> = match answer {
            Ok(Value::Array(interfaces)) => {
                interfaces.iter().filter_map(|i| Some(i.get("name")?.as_str()?.to_owned())).collect()
            }
            Ok(_) => Vec::new(),
            Err(error) => {
                warn!(self.log(), "the managers list no interfaces, asking the kernel"; "error" => %error);
                Vec::new()
            }
        };
        if names.is_empty() {
            let entries = std::fs::read_dir(self.settings.root.path("sys/class/net")).into_iter().flatten().flatten();
            names = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        }
        // A name is an argument of its own, never an option.
        names.retain(|name| !name.is_empty() && !name.starts_with('-') && name != "lo");
        names
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("version", &self.settings.version).finish_non_exhaustive()
    }
}

/// Compares without telling by the time where two texts differ.
fn same_text(ours: &[u8], given: &[u8]) -> bool {
    let mut difference = ours.len() ^ given.len();
    for (index, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ ours.get(index % ours.len().max(1)).unwrap_or(&0));
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::agent_with;

    #[test]
    fn tokens_are_equal_or_not() {
        assert!(same_text(b"abc", b"abc"));
        for other in ["", "ab", "abcd", "abd", "abcabc"] {
            assert!(!same_text(b"abc", other.as_bytes()), "{other}");
        }
    }

    #[tokio::test]
    async fn no_token_is_accepted_before_one_is_stored() {
        let agent = agent_with(Settings::default());
        for given in ["", "x"] {
            assert!(!agent.accepts_token(given));
        }
        agent.set_token("abc");
        assert!(agent.accepts_token("abc") && !agent.accepts_token(""));
        agent.set_token("def");
        assert!(agent.accepts_token("def") && !agent.accepts_token("abc"));
        agent.waive_token();
        assert!(agent.accepts_token("def") && !agent.accepts_token(""), "a token that is there counts");
    }

    #[tokio::test]
    async fn the_status_has_two_members() {
        let agent = agent_with(Settings { version: "1.2.3".into(), ..Settings::default() });
        assert_eq!(agent.status_json(), r#"{"started_at":null,"version":"1.2.3"}"#);
        agent.mark_started_at(1_764_000_000.5);
        assert_eq!(agent.status_json(), r#"{"started_at":1764000000.5,"version":"1.2.3"}"#);
    }

    #[tokio::test]
    async fn the_lockdown_tries_every_interface_and_never_returns() {
        let agent = agent_with(Settings::default());
        agent.lock_down();
        let log = || agent.logging().ring().text();
        tokio::select! {
            _ = agent.lockdown_tail() => unreachable!(),
            () = async {
                while !log().contains("system locked down") {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
        }
        // The fake managers name an interface that is not there, one that looks like an option, and the loopback.
        let log = log();
        assert_eq!(log.matches("interface stays up").count(), 1, "{log}");
        assert!(log.contains("interface stays up interface=nic-of-a-test"), "{log}");
    }

    #[tokio::test]
    async fn a_forced_heartbeat_is_not_lost() {
        let agent = agent_with(Settings::default());
        agent.force_heartbeat();
        agent.heartbeat_forced().await;
    }
}
