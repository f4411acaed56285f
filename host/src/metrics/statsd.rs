//! The times of the API's answers as statsd takes them: one datagram each, as the Python agent sends them.
//!
//! Nobody waits for statsd. Times that it cannot take in time are lost, and no more than that.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use slog::{Logger, warn};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::Request;
use crate::config::Config;

/// Times that wait to be sent.
const QUEUE: usize = 256;
/// How long the address of a name is good for.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(300);
/// Longest time to look up a name.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);
/// Where the Python agent counts its requests.
const PREFIX: &str = "ironic_python_agent.api.app";

/// Where metrics go and what they are called: the options of `[metrics]` and `[metrics_statsd]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsdOptions {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What all names begin with.
    pub global_prefix: Option<String>,
    /// The node's uuid, if it is part of the names.
    pub node_uuid: Option<String>,
    /// The name of this machine, if it is part of the names.
    pub host_name: Option<String>,
    /// True if the parts of that name come in reverse, the most general one first.
    pub reverse_host_name: bool,
}

impl StatsdOptions {
    /// The options of the configuration, if its backend is statsd, and what they need of the node.
    pub fn of(config: &Config, node_uuid: Option<&str>) -> Option<Self> {
        let host_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        (config.metrics_backend() == "statsd").then(|| Self {
            host: config.statsd_host(),
            port: config.statsd_port(),
            global_prefix: config.metrics_global_prefix(),
            node_uuid: node_uuid.filter(|_| config.metrics_prepend_uuid()).map(str::to_owned),
            host_name: config.metrics_prepend_host().then(host_name),
            reverse_host_name: config.metrics_prepend_host_reverse(),
        })
    }

    /// `[global_prefix.][uuid.][host.]ironic_python_agent.api.app.`
    fn prefix(&self) -> String {
        let host = self.host_name.as_deref().map(|name| {
            let mut parts: Vec<&str> = name.split('.').collect();
            if self.reverse_host_name {
                parts.reverse();
            }
            parts.join(".")
        });
        let parts = [self.global_prefix.clone(), self.node_uuid.clone(), host, Some(PREFIX.to_owned())];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.map(|part| format!("{part}.")).collect()
    }
}

/// Sends times.
#[derive(Debug)]
pub struct Statsd {
    queue: mpsc::Sender<(Request, Duration)>,
}

impl Statsd {
    /// Starts the task that sends. It ends with this value.
    pub fn start(options: StatsdOptions, log: Logger) -> Self {
        let (queue, times) = mpsc::channel(QUEUE);
        tokio::spawn(send_all(options, times, log));
        Self { queue }
    }

    /// Sends a time, if there is room.
    pub(super) fn time(&self, request: Request, took: Duration) {
        // Full while the name is looked up; see above.
        let _ = self.queue.try_send((request, took));
    }
}

async fn send_all(options: StatsdOptions, mut times: mpsc::Receiver<(Request, Duration)>, log: Logger) {
    let prefix = options.prefix();
    let mut target: Option<(SocketAddr, Instant)> = None;
    let mut failed = false;
    while let Some((request, took)) = times.recv().await {
        let sent = async {
            let address = match target {
                Some((address, since)) if since.elapsed() < ADDRESS_LIFETIME => address,
                _ => look_up(&options).await?,
            };
            target.get_or_insert((address, Instant::now())).0 = address;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            let text = format!("{prefix}{}:{}|ms", request.name(), took.as_secs_f64() * 1000.0);
            socket.send_to(text.as_bytes(), address).await
        };
        match sent.await {
            Ok(_) => failed = false,
            Err(error) => {
                target = None;
                // Once, until it works again.
                if !std::mem::replace(&mut failed, true) {
                    warn!(log, "metrics are not sent"; "statsd" => %format_args!("{}:{}", options.host, options.port),
                        "error" => %error);
                }
            }
        }
    }
}

/// An IPv4 address, as the Python agent uses.
async fn look_up(options: &StatsdOptions) -> std::io::Result<SocketAddr> {
    let addresses = timeout(LOOKUP_DEADLINE, lookup_host((options.host.as_str(), options.port))).await??;
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no IPv4 address");
    addresses.into_iter().find(SocketAddr::is_ipv4).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Logging;
    use crate::metrics::Requests;

    fn options(port: u16) -> StatsdOptions {
        StatsdOptions {
            host: "localhost".into(),
            port,
            global_prefix: None,
            node_uuid: None,
            host_name: None,
            reverse_host_name: true,
        }
    }

    #[tokio::test]
    async fn each_answer_is_a_datagram() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let options = options(server.local_addr().unwrap().port());
        let requests = Requests::default();
        requests.send_to(Statsd::start(options, Logging::to(std::io::sink, true).log().clone()));
        let mut datagram = [0; 200];
        for (request, text) in [
            (Request::GetStatus, "ironic_python_agent.api.app.get_status:1.5|ms"),
            (Request::RunCommand, "ironic_python_agent.api.app.run_command:1.5|ms"),
        ] {
            requests.note(request, Duration::from_micros(1500), false);
            let length = timeout(Duration::from_secs(30), server.recv(&mut datagram)).await.unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&datagram[..length]), text);
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_once_and_stops_nothing() {
        let logging = Logging::to(std::io::sink, true);
        let options = StatsdOptions { host: "no such host".into(), ..options(1) };
        let requests = Requests::default();
        requests.send_to(Statsd::start(options, logging.log().clone()));
        for _ in 0..1000 {
            requests.note(Request::GetStatus, Duration::ZERO, false);
        }
        let told = || logging.ring().text().matches("metrics are not sent").count();
        while told() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!((told(), requests.counts()[0].1.answered), (1, 1000));
    }

    #[test]
    fn the_options_of_the_configuration_are_taken() {
        let config = Config::default();
        assert_eq!(StatsdOptions::of(&config, None), None, "nothing is sent unless somebody asks for it");
        let lookup = |metrics: serde_json::Value| {
            let answer = serde_json::json!({
                "metrics": metrics, "metrics_statsd": {"statsd_host": "stats.example", "statsd_port": 9125},
            });
            assert!(config.take_lookup(answer.as_object().unwrap()).is_empty());
            StatsdOptions::of(&config, Some("5c6b"))
        };
        assert_eq!(lookup(serde_json::json!({"backend": "collector"})), None, "in memory they are anyway");
        let options = lookup(serde_json::json!({
            "backend": "statsd", "prepend_host": true, "prepend_host_reverse": false, "global_prefix": "fleet",
        }));
        let host_name = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
        let (host, global_prefix) = ("stats.example".to_owned(), Some("fleet".to_owned()));
        let expected =
            StatsdOptions { host, port: 9125, global_prefix, node_uuid: None, host_name, reverse_host_name: false };
        assert_eq!(options, Some(expected));
        let options = lookup(serde_json::json!({
            "backend": "statsd", "prepend_host": false, "prepend_uuid": true, "prepend_host_reverse": null,
        }));
        let options = options.expect("sent");
        assert_eq!(options.node_uuid.as_deref(), Some("5c6b"));
        assert_eq!((options.host_name, options.reverse_host_name), (None, true), "null is the default");
    }

    #[test]
    fn names_have_prefix_and_host() {
        let mut options = options(1);
        assert_eq!(options.prefix(), "ironic_python_agent.api.app.");
        options.host_name = Some("node-1.rack.example".into());
        assert_eq!(options.prefix(), "example.rack.node-1.ironic_python_agent.api.app.");
        options.reverse_host_name = false;
        options.global_prefix = Some("fleet".into());
        options.node_uuid = Some("5c6b".into());
        assert_eq!(options.prefix(), "fleet.5c6b.node-1.rack.example.ironic_python_agent.api.app.");
    }
}
