//! The agent's dealings with Ironic over its life: inspection, lookup, heartbeats.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipa_plugin_api::error::HwError;
use serde_json::{Value, json};
use slog::{Logger, error, info, warn};
use tokio::time::{Instant, sleep};

use super::inspection::Plan;
use super::start::Told;
use super::{Failure, transport};
use crate::agent::{Agent, Heartbeat};
use crate::config::{Config, Origin};
use crate::inspect::InspectError;
use crate::ironic::{
    Announcement, ApiVersion, Endpoint, Found, Ironic, Pace, Settings, Subject, TlsSource, keep_beating, token_to_keep,
};
use crate::managers::CallContext;
use crate::network::{self, Advertise, callback_url};
use crate::plugins::Registry;
use crate::systemd::Systemd;
use crate::tls::{ClientOptions, client_config};

/// The next heartbeat is tried after a time of Ironic's at most. After as many of them without one, nobody beats.
const SILENCE: u32 = 2;
/// Wait before the address to advertise is looked for once more.
const ADDRESS_PAUSE: Duration = Duration::from_secs(10);

/// How the agent deals with Ironic, by its options.
#[derive(Debug)]
pub(super) struct Session {
    ironic: Ironic,
    inspection: Plan,
    pace: Pace,
    advertise: Advertise,
    config: Arc<Config>,
}

/// Where the agent is reached, as far as the listener knows.
#[derive(Debug)]
pub(super) struct Served {
    /// `http` or `https`.
    pub(super) protocol: &'static str,
    /// The listener's address.
    pub(super) listener: SocketAddr,
    /// The certificate that was made for it, as PEM text.
    pub(super) certificate: Option<String>,
}

/// A lookup, as it can be repeated.
#[derive(Debug, Clone)]
struct Question {
    subject: Subject,
    inventory: Value,
}

/// What came of an inspection, if there was one.
#[derive(Debug, Default)]
struct Inspected {
    /// The node, if Ironic told.
    node_uuid: Option<String>,
    failure: Option<String>,
}

/// What came of meeting Ironic.
#[derive(Debug)]
pub(super) struct Meeting {
    /// The node.
    pub(super) found: Found,
    /// The address that Ironic is told.
    pub(super) host: String,
    /// The version that Ironic speaks.
    pub(super) api_version: ApiVersion,
    /// What it was asked.
    question: Question,
}

impl Session {
    /// What the options ask for. Nothing is sent yet.
    pub(super) fn plan(told: &Told, log: &Logger) -> Result<Self, Failure> {
        let config = told.config();
        let urls = endpoints("api_url", config.api_url().as_deref())?;
        let inspection = Plan::new(told, &urls)?;
        let settings = settings(config, urls, log);
        // The choice is checked where the options are read.
        let form = config.ironic_api().parse().unwrap_or_default();
        Ok(Self {
            ironic: Ironic::new(settings, form, &config.driver_name(), log.clone()),
            inspection,
            pace: Pace { timeout: config.lookup_timeout(), interval: config.lookup_interval() },
            advertise: Advertise {
                host: config.advertise_host(),
                interface: config.network_interface(),
                attempts: config.ip_lookup_attempts(),
                interval: config.ip_lookup_sleep(),
            },
            config: config.clone(),
        })
    }

    /// Everything before the API is served: waits for the network, inspects, and looks the node up. None if there is
    /// no Ironic to look it up at.
    ///
    /// # Errors
    /// The node or the agent's own address was not found in time, or nobody took the inspection's data: the agent is to
    /// end and be started again.
    pub(super) async fn begin(&self, agent: &Arc<Agent>) -> Result<Option<Meeting>, Failure> {
        let log = agent.log();
        network::for_interface(agent.managers(), log).await;
        let inspected = self.inspect(agent).await?;
        if self.ironic.client().urls().is_empty() {
            if self.inspection.is_some() {
                info!(log, "no Ironic API URL is known, so there is no lookup and no heartbeat after the inspection");
            } else {
                error!(
                    log,
                    "neither ipa-api-url nor ipa-inspection-callback-url is known, so there is no lookup and no \
                    heartbeat; only the API is served. Give one on the kernel line"
                );
            }
            return Ok(None);
        }
        let inventory = inventory(agent).await;
        let subject = Subject::of_inventory(&inventory, inspected.node_uuid);
        let held = agent.token().is_some();
        let found = self.ironic.lookup(&subject, &inventory, self.pace, held).await;
        let found = found.map_err(|why| match inspected.failure {
            // Without it Ironic does not know the machine, perhaps.
            Some(before) => Failure::new(format!("{why}; the inspection before it has failed: {before}")),
            None => Failure::new(why),
        })?;
        accept(agent, &self.config, &found).await;
        if self.ironic.is_old_by_order() && agent.token().is_none() {
            warn!(
                log,
                "ironic_api=passthru: this Ironic knows no tokens, so commands are taken from anybody who can \
                reach this machine"
            );
            agent.waive_token();
        }
        let api_version = self.ironic.client().version().await.version;
        let subject = Subject { node_uuid: Some(found.uuid.clone()), ..subject };
        // Only an old Ironic is told the whole inventory, which may be large.
        let inventory = if self.ironic.asks_with_inventory() { inventory } else { Value::Null };
        let question = Question { subject, inventory };
        Ok(Some(Meeting { found, host: self.address(agent).await?, api_version, question }))
    }

    /// What the agent does until its API is served, for the operator.
    pub(super) fn outlook(&self) -> String {
        let urls: Vec<String> = self.ironic.client().urls().iter().map(ToString::to_string).collect();
        match (urls.is_empty(), self.inspection.is_some()) {
            (false, false) => format!("looking the node up at {}", urls.join(", ")),
            (false, true) => format!("inspecting, then looking the node up at {}", urls.join(", ")),
            (true, true) => "inspecting; no Ironic API URL is known".to_owned(),
            (true, false) => "no Ironic is known".to_owned(),
        }
    }

    /// Lets the managers have the node looked up again, by the client that found it, so that they see what was changed
    /// since. Without time for a lookup they cannot.
    pub(super) fn answers_for_the_node(self: &Arc<Self>, meeting: &Meeting, registry: &Registry) {
        if self.pace.timeout.is_zero() || self.pace.interval.is_zero() {
            return;
        }
        let (session, question) = (self.clone(), meeting.question.clone());
        registry.refresh_node_by(Box::new(move |limit| {
            let (session, question) = (session.clone(), question.clone());
            Box::pin(async move {
                let pace = Pace { timeout: session.pace.timeout.min(limit), ..session.pace };
                let found = session.ironic.lookup(&question.subject, &question.inventory, pace, true).await?;
                Ok(found.node)
            })
        }));
    }

    /// Where the agent is, for Ironic. The certificate is for this address.
    ///
    /// # Errors
    /// None was found in the time that a lookup may take. A restart would cost the agent its token, so it comes late.
    async fn address(&self, agent: &Agent) -> Result<String, Failure> {
        let end = Instant::now() + self.pace.timeout;
        loop {
            match self.advertise.find(self.ironic.client(), agent.managers(), agent.log()).await {
                Ok(host) => return Ok(host),
                Err(error) if Instant::now() >= end => return Err(Failure::new(error)),
                Err(error) => {
                    error!(agent.log(), "Ironic cannot be told where the agent is, trying again";
                        "error" => error, "wait_s" => ADDRESS_PAUSE.as_secs());
                }
            }
            sleep(ADDRESS_PAUSE).await;
        }
    }

    async fn inspect(&self, agent: &Arc<Agent>) -> Result<Inspected, Failure> {
        let Some(inspection) = self.inspection.settle(agent.logging()).await? else { return Ok(Inspected::default()) };
        match inspection.run(agent, self.ironic.client()).await {
            Ok(node_uuid) => Ok(Inspected { node_uuid, failure: None }),
            Err(InspectError::Failed(why)) => {
                error!(agent.log(), "inspection failed, going on without"; "error" => &why);
                Ok(Inspected { node_uuid: None, failure: Some(why) })
            }
            Err(InspectError::Unreachable(why)) => Err(Failure::new(why)),
        }
    }

    /// Announces the agent for as long as it serves.
    pub(super) async fn keep_beating(
        &self,
        agent: &Agent,
        meeting: &Meeting,
        served: Served,
        systemd: &Systemd,
    ) -> Infallible {
        let (log, found) = (agent.log(), &meeting.found);
        let port = match self.config.origin("advertise_port") {
            Origin::Default => served.listener.port(),
            _ => self.config.advertise_port(),
        };
        // Something in between may speak TLS for the agent.
        let told = self.config.advertise_protocol();
        let protocol = if served.protocol == "https" { served.protocol } else { told.as_str() };
        let announcement = Announcement {
            uuid: found.uuid.clone(),
            callback_url: callback_url(protocol, &meeting.host, port),
            agent_version: agent.settings().version.clone(),
            certificate: served.certificate,
        };
        info!(log, "heartbeats begin"; "callback_url" => &announcement.callback_url, "node" => &announcement.uuid,
            "timeout_s" => found.heartbeat_timeout.as_secs());
        let beat = || async {
            let (token, time) = (agent.token(), SystemTime::now());
            let beat = self.ironic.beat(&announcement, token.as_deref()).await;
            agent.note_heartbeat(Heartbeat { time, answer: beat.to_string() });
            if let Some(vitals) = systemd.vitals() {
                vitals.heartbeat_tried(found.heartbeat_timeout.saturating_mul(SILENCE));
            }
            systemd.refresh().await;
            beat
        };
        keep_beating(found.heartbeat_timeout, log, || agent.heartbeat_forced(), beat).await
    }
}

/// Takes node data by command, as the lookup would have brought them: for an agent without Ironic.
pub(super) fn take_node_info(agent: &Arc<Agent>, config: &Arc<Config>) {
    let (weak, config) = (Arc::downgrade(agent), config.clone());
    agent.on_node_info(Box::new(move |info| {
        let (weak, config) = (weak.clone(), config.clone());
        Box::pin(async move {
            let Some(agent) = weak.upgrade() else { return Ok(()) };
            let found = Found::read(info, agent.log())
                .map_err(|why| HwError::invalid_command_params(format!("node_info is no answer of a lookup: {why}")))?;
            accept(&agent, &config, &found).await;
            Ok(())
        })
    }));
}

/// Makes the answer of a lookup count.
async fn accept(agent: &Agent, config: &Config, found: &Found) {
    let log = agent.log();
    info!(log, "lookup succeeded"; "node" => &found.uuid);
    if let Some(token) = token_to_keep(found, agent.token().is_some(), log) {
        agent.set_token(token);
    }
    for refused in config.take_lookup(&found.config) {
        info!(log, "an option that Ironic sets is ignored: {refused}");
    }
    agent.cache_node(&found.node).await;
}

/// The inventory; null if no manager has one, which Ironic will refuse in words.
async fn inventory(agent: &Agent) -> Value {
    match agent.managers().dispatch(&CallContext::new(), "list_hardware_info", json!({})).await {
        Ok(inventory) => inventory,
        Err(error) => {
            error!(agent.log(), "there is no inventory, so Ironic cannot be told who this is"; "error" => %error);
            Value::Null
        }
    }
}

/// The addresses of an option.
///
/// # Errors
/// One of them is none.
pub(super) fn endpoints(option: &str, text: Option<&str>) -> Result<Vec<Endpoint>, Failure> {
    Endpoint::parse_list(text.unwrap_or_default()).map_err(|error| Failure::new(format!("{option}: {error}")))
}

/// How Ironic is reached at these addresses.
pub(super) fn settings(config: &Arc<Config>, urls: Vec<Endpoint>, log: &Logger) -> Settings {
    Settings {
        urls,
        request_id: config.global_request_id(),
        timeout: config.http_request_timeout(),
        api_version: config.ironic_api_version(),
        tls: tls(config, log),
    }
}

/// Read when Ironic is first called over TLS: before the lookup, which may raise the lowest version for the server.
pub(super) fn tls(config: &Arc<Config>, log: &Logger) -> TlsSource {
    let (config, log) = (config.clone(), log.clone());
    Arc::new(move || {
        let options = ClientOptions {
            insecure: config.insecure(),
            ca_file: config.cafile(),
            certificate: config.certfile().zip(config.keyfile()),
            protocol: transport::protocol(&config, &log),
        };
        client_config(&options).map_err(|error| error.to_string())
    })
}
