//! A plugin in the agent's own process, for debuggers. The calls are the same; only a plugin that dies takes the agent
//! with it, and one that hangs can only be left alone.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use ipa_plugin_api::abi::loader::{Instance, Plugin};
use ipa_plugin_api::reply::RawReply;
use ipa_plugin_api::services::HostServices;
use slog::{Logger, o};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::death::Death;
use super::host::Host;
use super::link::{Outcome, Request, open_reply};
use super::scope::Scope;
use super::services;
use super::vet::Vetted;

/// Stack of the threads in which plugin code runs, in bytes.
const STACK: usize = 4 << 20;

/// A manager in this process.
#[derive(Debug)]
pub(crate) struct Local {
    /// None once it was unloaded.
    instance: Mutex<Option<Arc<Instance>>>,
    services: Arc<Services>,
    label: String,
    death: OnceLock<Arc<Death>>,
}

/// What the plugin can ask.
#[derive(Debug)]
struct Services {
    host: Weak<Host>,
    logger: Logger,
    runtime: Handle,
    calls: Mutex<HashMap<u64, Arc<Scope>>>,
}

impl Local {
    /// Loads the plugin into this process.
    pub(crate) async fn start(host: &Arc<Host>, plugin: Vetted) -> Result<Self, String> {
        let Vetted { file, manifest, sealed, .. } = plugin;
        let services = Arc::new(Services {
            host: Arc::downgrade(host),
            logger: host.logger.new(o!("plugin" => manifest.name.clone())),
            runtime: Handle::current(),
            calls: Mutex::default(),
        });
        let config = host.options.section(&manifest.name).to_string();
        let path = PathBuf::from(format!("/proc/self/fd/{}", sealed.as_fd().as_raw_fd()));
        // The loader knows a file by its name first: a second file under the same number would be the first again. So
        // the descriptor stays open.
        std::mem::forget(sealed);
        let (name, offered) = (manifest.name.clone(), Arc::clone(&services));
        let instance = on_thread(move || {
            let plugin = Plugin::open(&path).map_err(|error| error.to_string())?;
            plugin.create(offered, &config).map_err(|reply| match open_reply(&name, "new", &reply) {
                Err(error) => error.details().to_owned(),
                Ok(_) => "it answered nonsense".to_owned(),
            })
        });
        let instance = instance.await.map_err(|error| error.to_string())??;
        let label = format!("plugin {} ({file})", manifest.name);
        Ok(Self { instance: Mutex::new(Some(Arc::new(instance))), services, label, death: OnceLock::new() })
    }

    pub(crate) fn death(&self) -> Option<Arc<Death>> {
        self.death.get().cloned()
    }

    /// Leaves a hung manager to itself.
    pub(crate) fn abandon(&self, why: String, counts: bool) {
        let plugin = self.label.clone();
        let death = Death { plugin, how: why, running: Vec::new(), output: Vec::new(), counts };
        self.death.get_or_init(|| Arc::new(death));
    }

    /// Ends the manager.
    pub(crate) async fn unload(&self, limit: Duration) -> Result<(), String> {
        let Some(instance) = lock(&self.instance).take() else { return Ok(()) };
        let Some(instance) = Arc::into_inner(instance) else { return Err("calls of it still run".to_owned()) };
        let ended = on_thread(move || instance.destroy());
        match tokio::time::timeout(limit, ended).await {
            Ok(Ok(reply)) => open_reply(&self.label, "drop", &reply).map(drop).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it did not end within {limit:?}")),
        }
    }

    pub(crate) async fn request(&self, scope: &Arc<Scope>, request: Request) -> Outcome {
        if let Some(death) = self.death() {
            return Outcome::NotSent(death);
        }
        let Some(instance) = lock(&self.instance).clone() else {
            return Outcome::Reply(services::refusal("the manager has ended"));
        };
        lock(&self.services.calls).insert(scope.id, Arc::clone(scope));
        let (services, scope) = (Arc::clone(&self.services), Arc::clone(scope));
        let called = on_thread(move || {
            let reply = match request {
                Request::Evaluate => instance.evaluate(scope.id),
                Request::Call(args) => instance.call(scope.id, &scope.method, &args),
            };
            lock(&services.calls).remove(&scope.id);
            reply
        });
        match called.await {
            Ok(reply) => Outcome::Reply(reply),
            Err(error) => Outcome::Reply(services::refusal(&error.to_string())),
        }
    }
}

impl Services {
    fn scope(&self, call: u64) -> Option<Arc<Scope>> {
        lock(&self.calls).get(&call).cloned()
    }
}

impl HostServices for Services {
    fn log(&self, call: u64, level: u32, message: &str, pairs: &str) {
        services::log(&self.logger, self.scope(call).as_deref(), level, message, pairs.as_bytes());
    }

    fn progress(&self, call: u64, percent: u32, message: &str) {
        if let Some(scope) = self.scope(call) {
            services::progress(&scope, percent, message);
        }
    }

    fn is_cancelled(&self, call: u64) -> bool {
        self.scope(call).is_some_and(|scope| scope.is_cancelled())
    }

    fn host_call(&self, call: u64, method: &str, args: &str) -> RawReply {
        let (Some(host), Some(scope)) = (self.host.upgrade(), self.scope(call)) else {
            return services::refusal("the host can be asked only during a call, and this call has ended");
        };
        // Plugin code runs on threads of its own, never on the runtime's.
        self.runtime.block_on(services::serve(&host, &scope, method, args.as_bytes()))
    }
}

/// Runs plugin code on a thread of its own: it may block for hours.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let (sender, result) = oneshot::channel();
    thread::Builder::new().name("plugin".into()).stack_size(STACK).spawn(move || {
        // Nobody may wait any more.
        let _ = sender.send(work());
    })?;
    result.await.map_err(|_| std::io::Error::other("the thread of a plugin ended without an answer"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
