//! A ranked manager: its plugin, kept running, and the one way to ask it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipa_plugin_api::error::{ErrorKind, HwError, HwResult};
use ipa_plugin_api::manifest::Manifest;
use serde_json::{Value, json};
use slog::{debug, error, info, warn};
use tokio::sync::OnceCell;

use super::base::{self, BmcCache};
use super::dispatch::{Answerer, AskError};
use super::host::Host;
use super::link::{CallError, Link, Request, open_reply, perform};
use super::rank;
use super::scope::{MAX_DEPTH, Origin, Scope};
use super::source::PluginFile;
use super::surface::{self, Presence};
use super::vet::{self, Place};
use crate::managers::{BoxFuture, CallContext};

/// How often a plugin that died is started again.
const RESTARTS: u32 = 1;
/// Most method names that are remembered as answered.
const KNOWN_LIMIT: usize = 4096;

/// A manager that supports this machine.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) file: PluginFile,
    pub(crate) place: Place,
    pub(crate) manifest: Manifest,
    pub(crate) support: i64,
    pub(crate) bmc: BmcCache,
    state: Mutex<State>,
    /// Methods that it answered, or listed as its steps.
    known: Mutex<HashSet<String>>,
    /// Methods of the base class that its plugin, once asked, turned out not to have.
    lacking: Mutex<HashSet<String>>,
}

#[derive(Debug)]
struct State {
    generation: Arc<Generation>,
    deaths: u32,
    restarts: u32,
    quarantine: Option<String>,
    initialize_error: Option<String>,
}

/// One run of the plugin. The first is started by the registry, later ones by the first call that needs them.
#[derive(Debug, Default)]
struct Generation {
    link: OnceCell<Result<Arc<Link>, String>>,
    initialized: OnceCell<()>,
}

/// How a manager is, for status output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) restarts: u32,
    pub(crate) pid: Option<i32>,
}

impl Manager {
    /// A manager that was loaded and evaluated, but not yet initialized.
    pub(crate) fn new(file: PluginFile, place: Place, manifest: Manifest, support: i64, link: Arc<Link>) -> Self {
        let generation =
            Generation { link: OnceCell::new_with(Some(Ok(link))), initialized: OnceCell::new_with(Some(())) };
        let state = State {
            generation: Arc::new(generation),
            deaths: 0,
            restarts: 0,
            quarantine: None,
            initialize_error: None,
        };
        Self {
            file,
            place,
            manifest,
            support,
            bmc: BmcCache::default(),
            state: Mutex::new(state),
            known: Mutex::default(),
            lacking: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Calls `initialize`. A failure harms only this manager, which is asked nevertheless.
    pub(crate) async fn initialize(self: &Arc<Self>, host: &Arc<Host>, origin: &Origin) {
        if host.options.read_only {
            return;
        }
        let failure = match self.ask(host, origin, "initialize", &json!({})).await {
            Ok(_) => None,
            Err(AskError::Hardware(error) | AskError::Unavailable(error)) => Some(error.to_string()),
        };
        if let Some(error) = &failure {
            error!(host.logger, "manager {} could not be initialized: {error}", self.name(); "file" => %self.file);
        }
        self.lock().initialize_error = failure;
    }

    /// Asks for a method, by the rules of the Python agent's base class: what the plugin does not have may be
    /// inherited.
    pub(crate) fn ask<'a>(
        self: &'a Arc<Self>,
        host: &'a Arc<Host>,
        origin: &'a Origin,
        method: &'a str,
        args: &'a Value,
    ) -> BoxFuture<'a, Result<Value, AskError>> {
        Box::pin(async move {
            if method == "get_version" {
                // From the manifest, so that no plugin can change its version under way.
                return Ok(json!({"name": self.manifest.name, "version": self.manifest.version}));
            }
            if surface::presence(&self.manifest, method).is_none() {
                return Err(HwError::absent(method).into());
            }
            if host.options.read_only && surface::changes_machine(&self.manifest, method) {
                return Err(
                    HwError::invalid_command(format!("{method} is refused: the agent only looks (read-only)")).into()
                );
            }
            if self.lacks(method) && self.lock().quarantine.is_none() {
                return base::inherited(self, host, origin, method, args).await;
            }
            match self.call(host, origin, method, args).await {
                Err(AskError::Hardware(error)) if error.kind() == ErrorKind::Absent => {
                    self.note_lacking(method);
                    base::inherited(self, host, origin, method, args).await
                }
                result => {
                    self.remember(method, &result);
                    result
                }
            }
        })
    }

    /// Calls the plugin itself, started again if it died.
    async fn call(
        self: &Arc<Self>,
        host: &Arc<Host>,
        origin: &Origin,
        method: &str,
        args: &Value,
    ) -> Result<Value, AskError> {
        if origin.depth() >= MAX_DEPTH {
            return Err(HwError::command_execution(format!(
                "{}.{method} was not called: {MAX_DEPTH} calls wait for each other ({})",
                self.name(),
                origin.chain()
            ))
            .into());
        }
        let text = args.to_string();
        let mut death = None;
        // A plugin that dies between two calls is noticed only here; it is started again for this one.
        for _ in 0..=RESTARTS {
            let link = self.acquire(host, origin).await?;
            let limit = host.options.deadlines.of(&self.manifest, method, &origin.context, origin.remaining());
            let scope = Scope::new(host.next_call(), self.name(), method, origin.clone(), limit);
            match perform(host, &link, &scope, Request::Call(text.clone()), limit).await {
                Ok(reply) => return open_reply(self.name(), method, &reply).map_err(AskError::from),
                Err(CallError::Failed(error)) => return Err(error.into()),
                Err(CallError::NotSent(found)) => death = Some(found),
            }
        }
        let why = death.map_or_else(|| "it is gone".to_owned(), |death| death.to_string());
        Err(AskError::Unavailable(HwError::command_execution(format!("{method} was not called: {why}"))))
    }

    /// The running plugin. One that died is started again, once; calls that come meanwhile wait for that.
    async fn acquire(self: &Arc<Self>, host: &Arc<Host>, origin: &Origin) -> Result<Arc<Link>, AskError> {
        for _ in 0..=RESTARTS + 1 {
            let generation = self.generation(host)?;
            let link = match generation.link.get_or_init(|| self.start_again(host)).await {
                Ok(link) => Arc::clone(link),
                Err(why) => return Err(self.quarantine(host, why)),
            };
            // What initialize itself asks for must not wait for its end.
            if !origin.is_within(self, "initialize") {
                generation.initialized.get_or_init(|| self.initialize_again(host, origin, &link)).await;
            }
            if link.death().is_none() {
                return Ok(link);
            }
        }
        Err(AskError::Unavailable(HwError::command_execution(format!("plugin {} does not stay alive", self.name()))))
    }

    /// The generation to use: the present one, or a new one if that is dead.
    fn generation(&self, host: &Host) -> Result<Arc<Generation>, AskError> {
        let death = {
            let mut state = self.lock();
            if let Some(reason) = &state.quarantine {
                return Err(AskError::Unavailable(HwError::command_execution(reason)));
            }
            let present = Arc::clone(&state.generation);
            let Some(death) = present.link.get().and_then(|link| link.as_ref().ok()?.death()) else {
                return Ok(present);
            };
            state.deaths += u32::from(death.counts);
            if state.deaths <= RESTARTS {
                state.restarts += 1;
                state.generation = Arc::default();
                return Ok(Arc::clone(&state.generation));
            }
            death
        };
        Err(self.quarantine(host, &death.to_string()))
    }

    /// Gives the plugin up, and says why and what to do.
    fn quarantine(&self, host: &Host, why: &str) -> AskError {
        let mut state = self.lock();
        let reason = state.quarantine.get_or_insert_with(|| {
            let reason = format!(
                "plugin {} is quarantined: {why}; its methods fail until the agent is started again. Replace or remove {}, \
                 then restart the agent",
                self.name(),
                self.place,
            );
            error!(host.logger, "{reason}");
            reason
        });
        AskError::Unavailable(HwError::command_execution(reason.as_str()))
    }

    async fn start_again(&self, host: &Arc<Host>) -> Result<Arc<Link>, String> {
        info!(host.logger, "plugin {} is started again after its death", self.name());
        let (place, file) = (self.place.clone(), self.file.clone());
        let vetted = tokio::task::spawn_blocking(move || vet::vet_again(place, file))
            .await
            .map_err(|error| error.to_string())?;
        let vetted = vetted.map_err(|refusal| format!("it could not be started again: {refusal}"))?;
        if vetted.manifest != self.manifest {
            return Err(format!(
                "it could not be started again: its file was replaced (version {} is now {})",
                self.manifest.version, vetted.manifest.version
            ));
        }
        let name = self.name().to_owned();
        let link = Link::start(host, vetted).await.map_err(|why| format!("it could not be started again: {why}"))?;
        let link = Arc::new(link);
        match evaluate(host, &link, &name).await {
            Ok(Some(_)) => Ok(link),
            Ok(None) => Err("after it was started again it does not support this machine any more".to_owned()),
            Err(error) => Err(format!("after it was started again it could not be evaluated: {error}")),
        }
    }

    /// Calls `initialize` of a plugin that was started again, past the waiting for just that.
    async fn initialize_again(self: &Arc<Self>, host: &Arc<Host>, origin: &Origin, link: &Arc<Link>) {
        if host.options.read_only {
            return;
        }
        // A cancel of the call that happens to be the first is no reason to leave the manager half prepared.
        let origin = Origin { context: CallContext::new(), parent: origin.parent.clone() };
        let limit = host.options.deadlines.of(&self.manifest, "initialize", &origin.context, origin.remaining());
        let scope = Scope::new(host.next_call(), self.name(), "initialize", origin, limit);
        let failure = match perform(host, link, &scope, Request::Call("{}".to_owned()), limit).await {
            Ok(reply) => open_reply(self.name(), "initialize", &reply)
                .err()
                .filter(|error| error.kind() != ErrorKind::Absent)
                .map(|error| error.to_string()),
            Err(CallError::Failed(error)) => Some(error.to_string()),
            Err(CallError::NotSent(death)) => Some(death.to_string()),
        };
        if let Some(error) = &failure {
            warn!(host.logger, "manager {} could not be initialized again: {error}", self.name());
        }
        self.lock().initialize_error = failure;
    }

    /// Ends the manager and its plugin, for good.
    pub(crate) async fn stop(&self, host: &Host) {
        let generation = {
            let mut state = self.lock();
            state.quarantine.get_or_insert_with(|| format!("plugin {} has ended with the agent", self.name()));
            Arc::clone(&state.generation)
        };
        let Some(Ok(link)) = generation.link.get() else { return };
        if let Err(why) = link.unload(host.options.deadlines.unload).await {
            warn!(host.logger, "manager {} did not end as it should: {why}", self.name(); "file" => %self.file);
        }
    }

    fn remember(&self, method: &str, result: &Result<Value, AskError>) {
        if matches!(result, Err(AskError::Unavailable(_)))
            || matches!(result, Err(AskError::Hardware(error)) if error.kind() == ErrorKind::Incompatible)
        {
            return;
        }
        let mut names = vec![method.to_owned()];
        if let (Some(_), Ok(Value::Array(steps))) = (surface::listed_kind(method), result) {
            names.extend(steps.iter().filter_map(|step| Some(step.get("step")?.as_str()?.to_owned())));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if known.len() < KNOWN_LIMIT {
                known.insert(name);
            }
        }
    }

    /// Whether it may answer a method, as far as is known by now.
    pub(crate) fn may_have(&self, method: &str) -> bool {
        surface::presence(&self.manifest, method).is_some() && !self.lacks(method)
    }

    fn lacks(&self, method: &str) -> bool {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner).contains(method)
    }

    /// Remembers that the plugin does not have a method that it could have overridden: its code is the same after a
    /// restart. What it declares or answers dynamically it may have another time.
    fn note_lacking(&self, method: &str) {
        if surface::presence(&self.manifest, method) == Some(Presence::Base) && !self.manifest.dynamic {
            self.lacking.lock().unwrap_or_else(PoisonError::into_inner).insert(method.to_owned());
        }
    }

    /// How it is now.
    pub(crate) fn health(&self) -> Health {
        let state = self.lock();
        let link = state.generation.link.get().and_then(|link| link.as_ref().ok());
        let death = link.and_then(|link| link.death());
        let pid = link.filter(|_| death.is_none()).and_then(|link| link.pid());
        let (name, reason) = match (&state.quarantine, death, &state.initialize_error) {
            (Some(reason), ..) => ("quarantined", Some(reason.clone())),
            (None, Some(death), _) => ("died", Some(death.to_string())),
            (None, None, Some(error)) => ("initialize failed", Some(error.clone())),
            (None, None, None) if state.restarts > 0 => ("restarted", None),
            (None, None, None) => ("healthy", None),
        };
        Health { state: name, reason, restarts: state.restarts, pid }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, support {})", self.name(), self.file, self.support)
    }
}

/// A ranked manager with what it takes to ask it.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) manager: &'a Arc<Manager>,
    pub(crate) host: &'a Arc<Host>,
    pub(crate) origin: &'a Origin,
}

impl Answerer for Candidate<'_> {
    fn class_name(&self) -> &str {
        &self.manager.manifest.class_name
    }

    fn name(&self) -> &str {
        self.manager.name()
    }

    fn support(&self) -> i64 {
        self.manager.support
    }

    fn presence(&self, method: &str) -> Option<Presence> {
        surface::presence(&self.manager.manifest, method)
    }

    fn owns(&self, method: &str) -> bool {
        let known = self.manager.known.lock().unwrap_or_else(PoisonError::into_inner).contains(method);
        surface::is_own(&self.manager.manifest, known, method)
    }

    fn ask<'a>(&'a self, method: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value, AskError>> {
        Box::pin(async move {
            let result = self.manager.ask(self.host, self.origin, method, args).await;
            let logger = &self.host.logger;
            // What a command asks for is logged with the command; what a plugin asks for may be kept by that plugin.
            let is_told = self.origin.parent.is_none();
            match &result {
                Err(AskError::Hardware(error)) => match error.kind() {
                    ErrorKind::Absent | ErrorKind::Incompatible => {
                        debug!(logger, "manager {} passes on {method}: {error}", self.name());
                    }
                    ErrorKind::Configuration => {
                        error!(logger, "configuration error in manager {}: {error}", self.name(); "method" => method);
                    }
                    _ if is_told => debug!(logger, "manager {} failed in {method}: {error}", self.name()),
                    _ => warn!(logger, "manager {} failed in {method}: {error}", self.name()),
                },
                Err(AskError::Unavailable(error)) if is_told => debug!(logger, "{method}: {error}"),
                Err(AskError::Unavailable(error)) => warn!(logger, "{method}: {error}"),
                Ok(_) => debug!(logger, "manager {} answered {method}", self.name()),
            }
            result
        })
    }
}

/// Ranks a loaded plugin: its support, none if it does not support this machine.
pub(crate) async fn evaluate(host: &Arc<Host>, link: &Arc<Link>, name: &str) -> HwResult<Option<i64>> {
    const METHOD: &str = "evaluate_hardware_support";
    let limit = host.options.deadlines.evaluate;
    let scope = Scope::new(host.next_call(), name, METHOD, Origin::agent(&CallContext::new()), limit);
    match perform(host, link, &scope, Request::Evaluate, limit).await {
        Ok(reply) => {
            let value = open_reply(name, METHOD, &reply)?;
            rank::support(&value).map_err(|why| HwError::command_execution(format!("{METHOD} of plugin {name}: {why}")))
        }
        Err(CallError::Failed(error)) => Err(error),
        Err(CallError::NotSent(death)) => Err(HwError::command_execution(death.to_string())),
    }
}
