//! From plugin files to ranked managers, and the plugin side as the rest of the agent sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ipa_plugin_api::error::HwResult;
use serde_json::{Value, json};
use slog::{Logger, debug, error, info, warn};
use tokio::task::JoinSet;

use super::dispatch::{self, After};
use super::explain::{self, Explanation};
use super::host::Host;
use super::link::Link;
use super::manager::{Manager, evaluate};
use super::options::Options;
use super::refusal::Refusal;
use super::scope::Origin;
use super::source::Source;
use super::spare::Spare;
use super::status::{self, LeftOut, Status};
use super::strays::{self, Marked};
use super::vet::Vetted;
use super::{gather, rank};
use crate::ironic::TlsSource;
use crate::managers::{Answer, BoxFuture, CallContext, Managers, NodeSource};
use crate::process::Runner;

/// The plugins of all sources, loaded, ranked and kept running.
#[derive(Debug)]
pub struct Registry {
    host: Arc<Host>,
    left_out: Vec<LeftOut>,
}

impl Registry {
    /// Loads every plugin of the sources, ranks the managers that support this machine and initializes them in
    /// that order. What is wrong with one plugin is logged and harms no other; a registry without managers answers
    /// every dispatch with `HardwareManagerNotFound`.
    ///
    /// The first plugin gets the spare worker, if there is one.
    pub async fn start(
        options: Options,
        sources: Vec<Source>,
        runner: Runner,
        spare: Option<Spare>,
        logger: Logger,
    ) -> Self {
        let start = Instant::now();
        let places = sources.iter().filter_map(Source::place).collect();
        let host = Arc::new(Host::new(options, places, runner, logger));
        if let Some(spare) = spare {
            host.set_spare(spare);
        }
        // Local files, and nobody else has anything to do yet: another thread would only have to be woken for it.
        let (vetted, mut left_out) = gather::gather(sources);

        let mut starting = JoinSet::new();
        for plugin in vetted {
            let host = Arc::clone(&host);
            starting.spawn(async move { start_one(&host, plugin).await });
        }
        let mut managers = Vec::new();
        while let Some(started) = starting.join_next().await {
            match started {
                Ok(Ok(manager)) => managers.push(Arc::new(manager)),
                Ok(Err(reason)) => left_out.push(*reason),
                Err(error) => error!(host.logger, "starting a plugin ended without a result: {error}"),
            }
        }
        drop(host.take_spare());
        managers.sort_by(|left, right| rank::order((left.support, &left.manifest), (right.support, &right.manifest)));
        left_out.sort_by(|left, right| left.file.cmp(&right.file));
        for left in &left_out {
            if left.unsupported {
                info!(host.logger, "{left}");
            } else {
                warn!(host.logger, "{left}");
            }
        }
        for (place, manager) in managers.iter().enumerate() {
            info!(host.logger, "hardware manager found: {manager}"; "rank" => place + 1);
        }
        if managers.is_empty() {
            error!(host.logger, "no plugin in {} supports this machine", host.places.join(", "));
        }
        host.set_ranked(managers);
        // Not before all are ranked: an initialize may dispatch to the others.
        let origin = Origin::agent(&CallContext::new());
        for manager in host.ranked().unwrap_or_default() {
            manager.initialize(&host, &origin).await;
        }
        info!(host.logger, "plugins are ready after {:.1?}", start.elapsed());
        Self { host, left_out }
    }

    /// Ends all managers, each within its time, and all that they started. Calls that still run keep theirs from ending by itself, so cancel them
    /// before.
    pub async fn stop(&self) {
        let mut ending = JoinSet::new();
        for manager in self.host.ranked().unwrap_or_default() {
            let (manager, host) = (Arc::clone(manager), Arc::clone(&self.host));
            ending.spawn(async move { manager.stop(&host).await });
        }
        while ending.join_next().await.is_some() {}
        strays::end(&self.host.logger, Marked::ByThisHost).await;
    }

    /// Lets plugins fetch pages, with these TLS settings. The first ones stay.
    pub fn fetch_with(&self, tls: TlsSource) {
        self.host.set_tls(tls);
    }

    /// Lets plugins have the node looked up once more. The first source stays.
    pub fn refresh_node_by(&self, source: NodeSource) {
        self.host.set_node_source(source);
    }

    /// The managers and what was left out.
    pub fn status(&self) -> Status {
        status::of(&self.host, &self.left_out)
    }

    /// Who would be asked for a method, and why.
    pub fn explain(&self, method: &str) -> Explanation {
        explain::of(&self.host, &self.left_out, method)
    }
}

/// Loads and evaluates one plugin.
async fn start_one(host: &Arc<Host>, plugin: Vetted) -> Result<Manager, Box<LeftOut>> {
    let mut left = LeftOut::of(&plugin, Refusal::new("", ""));
    let (file, place, manifest) = (plugin.file.clone(), plugin.place.clone(), plugin.manifest.clone());
    let link = match Link::start(host, plugin).await {
        Ok(link) => Arc::new(link),
        Err(why) => {
            left.refusal = Refusal::new(why, "see its output in the log, or run `ipa-host plugins check` on it");
            return Err(Box::new(left));
        }
    };
    match evaluate(host, &link, &manifest.name).await {
        Ok(Some(support)) => Ok(Manager::new(file, place, manifest, support, link)),
        Ok(None) => {
            // It is not asked again, and nobody waits for its end.
            let limit = host.options.deadlines.unload;
            tokio::spawn(async move { link.unload(limit).await });
            left.unsupported = true;
            left.refusal = Refusal::new("it does not support this machine", "nothing needs to be done");
            Err(Box::new(left))
        }
        Err(error) => {
            let cause = format!("it could not be evaluated: {error}");
            left.refusal = Refusal::new(cause, "see its output in the log; the vendor must mend it");
            Err(Box::new(left))
        }
    }
}

impl Managers for Registry {
    fn dispatch<'a>(&'a self, call: &'a CallContext, method: &'a str, args: Value) -> BoxFuture<'a, HwResult<Value>> {
        Box::pin(async move { dispatch::first(&self.host, &Origin::agent(call), method, args, After::Nobody).await })
    }

    fn dispatch_all<'a>(
        &'a self,
        call: &'a CallContext,
        method: &'a str,
        args: Value,
    ) -> BoxFuture<'a, HwResult<Vec<Answer>>> {
        Box::pin(async move { dispatch::all(&self.host, &Origin::agent(call), method, args).await })
    }

    fn versions(&self) -> BTreeMap<String, String> {
        let managers = self.host.ranked().unwrap_or_default();
        managers.iter().map(|manager| (manager.name().to_owned(), manager.manifest.version.clone())).collect()
    }

    fn cache_node<'a>(&'a self, node: Value) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let uuid = node.get("uuid").and_then(Value::as_str).map(str::to_owned);
            let changed = self.host.set_node(node);
            // A node without uuid is nobody's: Ironic never sends one.
            let Some(uuid) = uuid.filter(|_| changed) else { return };
            info!(self.host.logger, "cached node {uuid}, waiting for its root device");
            // Its hints may name another disk than those that were waited for before.
            match self.dispatch(&CallContext::new(), "wait_for_disks", json!({})).await {
                Ok(_) => {}
                Err(error) if error.class() == "HardwareManagerMethodNotFound" => {
                    debug!(self.host.logger, "no manager can tell the root device, so it was not waited for");
                }
                Err(error) => warn!(self.host.logger, "waiting for the root device failed: {error}"),
            }
        })
    }

    fn describe(&self) -> Value {
        // Structs of strings and numbers always serialise.
        serde_json::to_value(self.status()).unwrap_or_default()
    }
}
