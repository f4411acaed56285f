//! Inspection: collecting what there is to know about the machine and posting it to Ironic.
//!
//! It runs on machines that nobody knows anything about, so whatever fails, all that could be collected is posted
//! together with what went wrong, and only then is the failure looked at.

mod collectors;
mod dmi;
mod numa;
mod pci;
mod post;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use slog::{info, warn};

use crate::agent::Agent;
use crate::ironic::{Client, Endpoint};

use self::collectors::{COLLECTORS, Collection, Collector};

/// Collectors that run unless others are named.
const DEFAULT_COLLECTORS: &str = "default,logs";
/// Path of the callback below an API address.
const CALLBACK_PATH: &str = "/v1/continue_inspection";
/// Largest body that Ironic takes.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What is collected and where it goes.
#[derive(Debug, Clone)]
pub struct Inspection {
    urls: Vec<Endpoint>,
    collectors: Vec<String>,
    addresses: AddressWait,
    /// Benchmarks of the collector `extra-hardware`, with commas between them.
    benchmarks: Option<String>,
}

/// The wait for IPv4 addresses before the inventory is read.
#[derive(Debug, Clone)]
pub struct AddressWait {
    /// Longest wait; zero for none.
    pub timeout: Duration,
    /// True to wait for all interfaces, not only the one that was booted from.
    pub every: bool,
    /// The kernel parameter `BOOTIF`.
    pub bootif: Option<String>,
}

/// What ended an inspection early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InspectError {
    /// Something is wrong with the data, or Ironic does not want it. The agent goes on.
    Failed(String),
    /// Nobody took the data. The agent ends, to be started again.
    Unreachable(String),
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Unreachable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for InspectError {}

impl Inspection {
    /// What these options ask for: nothing unless there is a callback address, or collectors and an API address.
    /// `benchmarks` is the kernel parameter `ipa-inspection-benchmarks`.
    ///
    /// # Errors
    /// The callback address is none; the text names it.
    pub fn from_options(
        callback: Option<&str>,
        collectors: Option<&str>,
        api: &[Endpoint],
        addresses: AddressWait,
        benchmarks: Option<String>,
    ) -> Result<Option<Self>, String> {
        let callback = callback.filter(|text| !text.trim().is_empty());
        let collectors = collectors.filter(|text| !text.trim().is_empty());
        let urls = match callback {
            Some(text) => Endpoint::parse_list(text).map_err(|error| format!("inspection_callback_url: {error}"))?,
            None if collectors.is_some() => api.iter().map(|url| url.at(CALLBACK_PATH)).collect(),
            None => Vec::new(),
        };
        Ok((!urls.is_empty()).then(|| Self { urls, ..Self::for_nobody(collectors, addresses, benchmarks) }))
    }

    /// One whose data are not posted.
    pub fn for_nobody(collectors: Option<&str>, addresses: AddressWait, benchmarks: Option<String>) -> Self {
        let collectors = collectors.filter(|text| !text.trim().is_empty());
        let names = collectors.unwrap_or(DEFAULT_COLLECTORS).split(',').map(str::trim);
        let collectors = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { urls: Vec::new(), collectors, addresses, benchmarks }
    }

    /// Collects and posts. Gives the UUID of the node if Ironic told it.
    ///
    /// # Errors
    /// See [`InspectError`].
    pub async fn run(&self, agent: &Arc<Agent>, client: &Client) -> Result<Option<String>, InspectError> {
        let data = self.collect(agent).await;
        let failures = data.get("error").and_then(Value::as_str).map(str::to_owned);
        let unknown = self.chosen().is_err();
        let answered = post::send(client, &self.urls, body(data, agent), agent.log()).await;
        match (failures, answered) {
            // Who cannot be reached matters more than what is wrong with the data, except that nothing was collected.
            (Some(failures), Err(InspectError::Unreachable(_))) if unknown => Err(InspectError::Failed(failures)),
            (_, Err(error @ InspectError::Unreachable(_))) => Err(error),
            (Some(failures), _) => Err(InspectError::Failed(failures)),
            (None, answered) => answered,
        }
    }

    /// Collects. The member `error` of the data is null, or says what could not be collected.
    pub async fn collect(&self, agent: &Arc<Agent>) -> Map<String, Value> {
        info!(agent.log(), "inspection begins"; "collectors" => self.collectors.join(","));
        let mut collection = Collection::default();
        match self.chosen() {
            Ok(collectors) => {
                for (name, collector) in collectors {
                    if let Err(error) = collector(agent, self, &mut collection).await {
                        collection.failures.push(format!("collector {name} failed: {error}"));
                    }
                }
            }
            Err(error) => collection.failures.push(error),
        }
        let mut data = collection.data;
        data.insert("error".into(), error_text(&collection.failures).map_or(Value::Null, Value::from));
        data
    }

    fn chosen(&self) -> Result<Vec<(&str, Collector)>, String> {
        let find = |name: &str| COLLECTORS.iter().find(|(known, _)| *known == name).copied();
        let unknown: Vec<&str> =
            self.collectors.iter().map(String::as_str).filter(|name| find(name).is_none()).collect();
        if !unknown.is_empty() {
            let known: Vec<&str> = COLLECTORS.iter().map(|(name, _)| *name).collect();
            return Err(format!("no collector is called {}; there are {}", unknown.join(", "), known.join(", ")));
        }
        Ok(self.collectors.iter().filter_map(|name| find(name)).collect())
    }
}

/// The failures as one text; none if there are none.
fn error_text(failures: &[String]) -> Option<String> {
    let lines: String = failures.iter().map(|failure| format!("\n* {failure}")).collect();
    (!lines.is_empty()).then(|| format!("The following errors were encountered:{lines}"))
}

/// The data as JSON, without the logs if Ironic would not take it with them.
fn body(mut data: Map<String, Value>, agent: &Agent) -> Vec<u8> {
    let text = serde_json::to_vec(&data).unwrap_or_default();
    if text.len() <= BODY_LIMIT || data.shift_remove("logs").is_none() {
        return text;
    }
    warn!(agent.log(), "Ironic takes no more than 16 MiB, so the logs are left out"; "bytes" => text.len());
    serde_json::to_vec(&data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Settings;
    use crate::testing::agent_with;
    use serde_json::json;

    const NO_WAIT: AddressWait = AddressWait { timeout: Duration::ZERO, every: false, bootif: None };

    fn options(callback: Option<&str>, collectors: Option<&str>, api: &str) -> Option<Inspection> {
        let api = Endpoint::parse_list(api).expect("URLs");
        Inspection::from_options(callback, collectors, &api, NO_WAIT, None).expect("good options")
    }

    fn urls(inspection: Option<Inspection>) -> String {
        let urls = inspection.map(|inspection| inspection.urls).unwrap_or_default();
        urls.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_runs_with_a_callback_or_with_collectors_and_an_api() {
        let api = "http://a:1,https://b/api/";
        assert_eq!(urls(options(None, None, api)), "");
        assert_eq!(urls(options(None, Some("default"), "")), "");
        assert_eq!(urls(options(Some(" "), Some(" "), api)), "");
        let derived = "http://a:1/v1/continue_inspection https://b/api/v1/continue_inspection";
        assert_eq!(urls(options(None, Some("default"), api)), derived);
        assert_eq!(urls(options(Some("http://c/x,,http://d/y?z=1"), None, api)), "http://c/x http://d/y?z=1");
        let bad = Inspection::from_options(Some("nowhere"), None, &[], NO_WAIT, None).expect_err("no URL");
        assert!(bad.contains("inspection_callback_url") && bad.contains("nowhere"), "{bad}");
    }

    #[test]
    fn collectors_are_default_and_logs_unless_named_and_unknown_ones_are_told() {
        let names = |collectors| options(Some("http://c"), collectors, "").expect("enabled").collectors;
        assert_eq!(names(None), ["default", "logs"]);
        assert_eq!(names(Some(" pci-devices ,default,")), ["pci-devices", "default"]);
        let error = options(Some("http://c"), Some("default,magic"), "").expect("enabled").chosen().expect_err("magic");
        assert!(error.contains("magic;") && error.contains("pci-devices"), "{error}");
    }

    #[test]
    fn failures_are_a_list_of_lines() {
        assert_eq!(error_text(&[]), None);
        let text = error_text(&["one".into(), "two".into()]).expect("some");
        assert_eq!(text, "The following errors were encountered:\n* one\n* two");
    }

    #[tokio::test]
    async fn logs_give_way_where_all_would_be_too_much() {
        let agent = agent_with(Settings::default());
        let data = |logs: usize| {
            let Value::Object(data) = json!({"inventory": {}, "logs": "x".repeat(logs)}) else { unreachable!() };
            body(data, &agent)
        };
        assert!(data(1000).ends_with(b"xx\"}"));
        assert_eq!(data(BODY_LIMIT), br#"{"inventory":{}}"#);
    }
}
