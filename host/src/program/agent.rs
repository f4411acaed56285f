//! `ipa-host run`: the agent's life, from the plugins to the last answer.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use slog::{Logger, info, warn};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::session::{self, Served, Session};
use super::signals::Signals;
use super::start::{Ahead, Media, Told};
use super::{Failure, discovery, transport};
use crate::agent::{Agent, Settings};
use crate::api::{self, Limits, Server};
use crate::cli::{CONTROL_SOCKET, RunOptions, TOKEN_FILE};
use crate::config::Config;
use crate::control::Control;
use crate::extensions;
use crate::managers::Managers;
use crate::metrics::{Statsd, StatsdOptions};
use crate::plugins::{self, Fetching, Registry, Source};
use crate::power::{self, ClockOptions};
use crate::root::Root;
use crate::systemd::Systemd;
use crate::token;

/// Runs the agent until a signal or a command ends it.
pub(super) async fn run(options: RunOptions, ahead: Ahead) -> Result<ExitCode, Failure> {
    let Ahead { runner, spare } = ahead;
    let media = if options.read_only { Media::Read } else { Media::Taken };
    let mut told = Told::read(Path::new("/"), media, &runner, options.common.clone(), options.flags.all()).await?;
    let logging = told.logging();
    let log = logging.log().clone();
    let mut signals = Signals::catch()?;
    info!(log, "ipa-host starts"; "version" => env!("CARGO_PKG_VERSION"), "read_only" => options.read_only);

    let systemd = Systemd::of_this_process(&log);
    let pulse = systemd.begin();
    systemd.phase("starting").await;

    if !options.standalone && !extensions::is_rescued(&Root::default()) {
        // The answer may name the time server.
        tokio::select! {
            found = discovery::api(told.config(), &logging) => found?,
            name = signals.next() => {
                info!(log, "{name} received before Ironic was found, stopping");
                systemd.stopping(name).await;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    let mut sources = told.take_plugin_sources();
    let config = told.config();
    let clock = ClockOptions::of(config);
    power::set_from_network(&clock, &runner, &log).await.map_err(|error| Failure::new(error.details()))?;
    let fetched = tokio::select! {
        fetched = fetched(config, &systemd, &log) => fetched,
        name = signals.next() => {
            info!(log, "{name} received before all plugins were fetched, stopping");
            systemd.stopping(name).await;
            return Ok(ExitCode::SUCCESS);
        }
    };
    sources.extend(fetched);
    systemd.phase("loading hardware managers").await;
    let plugins = told.plugins(options.read_only);
    // The workers take their time, and nothing of this needs them.
    let (registry, token, control) = tokio::join!(
        Registry::start(plugins, sources, runner.clone(), spare, log.clone()),
        async { agent_token(&options, &told, &log) },
        control(&options, &log),
    );
    let registry = Arc::new(registry);
    registry.fetch_with(session::tls(config, &log));
    let settings = Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        standalone: options.standalone,
        read_only: options.read_only,
        agent_token: token?,
        clock,
        no_status_page: !config.enable_status_page(),
        no_metrics: !config.enable_metrics(),
        ..Settings::default()
    };
    let agent = Agent::new(settings, registry.clone(), runner, logging);
    let control = control.map(|control| {
        let managers: Arc<dyn Managers> = registry.clone();
        tokio::spawn(async move { control.serve(managers).await }).abort_handle()
    });

    let outcome = live(&agent, &registry, &told, &mut signals, &systemd).await;
    match &outcome {
        Ok(()) => systemd.stopping("as asked to").await,
        Err(failure) => systemd.stopping(&failure.to_string()).await,
    }
    control.inspect(AbortHandle::abort);
    registry.stop().await;
    info!(log, "ipa-host ends");
    // Until here the managers may have taken their time.
    pulse.inspect(AbortHandle::abort);
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The plugins that the options name by URL. A machine in rescue mode needs none.
async fn fetched(config: &Arc<Config>, systemd: &Systemd, log: &Logger) -> Vec<Source> {
    let (urls, root) = (config.plugin_urls(), Root::default());
    if urls.is_empty() || extensions::is_rescued(&root) {
        return Vec::new();
    }
    systemd.phase("fetching plugins").await;
    let fetching = Fetching {
        tls: session::tls(config, log),
        connect: config.http_request_timeout(),
        patience: config.lookup_timeout(),
        interval: config.lookup_interval(),
        root,
    };
    plugins::fetch(&urls, fetching, log).await
}

/// From ready managers to the end: meets Ironic, serves the API, beats.
async fn live(
    agent: &Arc<Agent>,
    registry: &Registry,
    told: &Told,
    signals: &mut Signals,
    systemd: &Systemd,
) -> Result<(), Failure> {
    let (log, config) = (agent.log(), told.config());
    if extensions::is_rescued(&agent.settings().root) {
        info!(log, "the machine is in rescue mode: the API is not served; the agent stays, not to be started again");
        systemd.phase("the machine is in rescue mode, so the API is not served").await;
        systemd.ready().await;
        info!(log, "{} received, stopping", signals.next().await);
        return Ok(());
    }
    let session = if agent.is_standalone() {
        session::take_node_info(agent, config);
        None
    } else {
        Some(Arc::new(Session::plan(told, log)?))
    };
    if let Some(session) = &session {
        systemd.phase(&session.outlook()).await;
        systemd.ready().await;
    }
    let before = async {
        let delay = config.hardware_initialization_delay();
        // Even a sleep of nothing waits for the next tick of the clock.
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match &session {
            Some(session) => session.begin(agent).await,
            None => Ok(None),
        }
    };
    let meeting = tokio::select! {
        meeting = before => meeting?,
        name = signals.next() => {
            info!(log, "{name} received before the API was served, stopping");
            return Ok(());
        }
    };

    if let (Some(session), Some(meeting)) = (&session, &meeting) {
        session.answers_for_the_node(meeting, registry);
    }
    // A lookup may have told where statistics go.
    if let Some(options) = StatsdOptions::of(config, agent.node_uuid().as_deref()) {
        agent.requests().send_to(Statsd::start(options, log.clone()));
    }
    let listener = api::bind(&config.listen_host(), config.listen_port())
        .map_err(|error| Failure::new(format!("{error}; choose another with --listen-host and --listen-port")))?;
    let (transport, certificate) = transport::choose(agent, config, meeting.as_ref()).await?;
    let scheme = transport.scheme();
    let server = Server::start(agent.clone(), listener, transport, Limits::default())
        .map_err(|error| Failure::new(format!("the API cannot be served: {error}")))?;
    agent.mark_started();
    info!(log, "listening on {scheme}://{}", server.local_addr());
    if let Some(vitals) = systemd.vitals() {
        vitals.expect_acceptor(server.acceptor());
    }
    systemd.serves(agent).await;
    systemd.ready().await;
    let served = Served { protocol: scheme, listener: server.local_addr(), certificate };
    let heartbeats = async {
        match (&session, &meeting) {
            (Some(session), Some(meeting)) => session.keep_beating(agent, meeting, served, systemd).await,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = heartbeats => {}
        () = agent.serving_ends() => {}
        name = signals.next() => {
            info!(log, "{name} received, stopping");
            agent.stop_serving();
        }
    }
    if let Some(vitals) = systemd.vitals() {
        vitals.expect_nothing();
    }
    server.stop().await;
    agent.engine().cancel_running();
    if agent.is_locked_down() {
        systemd.refresh().await;
        tokio::select! {
            _ = agent.lockdown_tail() => {}
            name = signals.next() => info!(log, "{name} received"),
        }
    }
    Ok(())
}

/// The token that clients must give: the one that was given, or for a standalone agent a new one.
fn agent_token(options: &RunOptions, told: &Told, log: &Logger) -> Result<Option<String>, Failure> {
    let given = told.config().agent_token();
    if given.is_some() || !options.standalone {
        return Ok(given);
    }
    let path = options.agent_token_file.as_deref().unwrap_or(Path::new(TOKEN_FILE));
    let token = token::make();
    token::keep(&token, path).map_err(|error| {
        Failure::new(format!("{}: the token cannot be kept: {error}; name another --agent-token-file", path.display()))
    })?;
    // Once, for the person who started it; the log masks it.
    println!("agent token: {token}");
    info!(log, "made an agent token"; "file" => %path.display());
    Ok(Some(token))
}

/// Where `plugins list` asks. The agent works without.
async fn control(options: &RunOptions, log: &Logger) -> Option<Control> {
    let path = options.control_socket.as_deref().unwrap_or(Path::new(CONTROL_SOCKET));
    match Control::bind(path).await {
        Ok(control) => Some(control),
        Err(error) => {
            warn!(log, "no control socket, so `plugins list` cannot ask this host";
                "path" => %path.display(), "error" => %error);
            None
        }
    }
}
