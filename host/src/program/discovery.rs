//! Finding Ironic by multicast DNS, if the options ask for it, and taking over what comes along.

use slog::{info, warn};

use super::Failure;
use crate::config::Config;
use crate::log::Logging;
use crate::mdns::{self, Found, LookupError, Places};
use crate::root::Root;

/// What stands in the place of a URL that is to be found.
pub(super) const MDNS: &str = "mdns";
/// Path of the callback at a service for inspection data.
const CALLBACK_PATH: &str = "/v1/continue";

/// True if this value of an option asks for multicast DNS.
pub(super) fn is_asked_for(url: Option<&str>) -> bool {
    url.is_some_and(|url| url.trim() == MDNS)
}

/// Finds Ironic's API and sets `api_url`, if that is `mdns`, or unset while `use_mdns` is set.
///
/// # Errors
/// It was not found, and `api_url` is `mdns`. With `use_mdns` alone the agent goes on without an Ironic.
pub(super) async fn api(config: &Config, logging: &Logging) -> Result<(), Failure> {
    let url = config.api_url();
    let by_name = is_asked_for(url.as_deref());
    if !by_name && (!config.use_mdns() || url.is_some_and(|url| !url.trim().is_empty())) {
        return Ok(());
    }
    match find(mdns::BAREMETAL, config, logging).await {
        Ok(found) => {
            take(&found, config, logging)?;
            config.take_mdns_url("api_url", &found.url).map_err(|bad| Failure::new(bad.to_string()))
        }
        Err(Lookup::Failed(error)) if !by_name => {
            warn!(logging.log(), "going on without an Ironic"; "error" => %error);
            Ok(())
        }
        Err(error) => Err(error.into_failure("api_url")),
    }
}

/// Finds where inspection data go and sets `inspection_callback_url`.
///
/// # Errors
/// It was not found.
pub(super) async fn introspection(config: &Config, logging: &Logging) -> Result<(), Failure> {
    let option = "inspection_callback_url";
    let found = find(mdns::INTROSPECTION, config, logging).await.map_err(|error| error.into_failure(option))?;
    let url = found.url.at(CALLBACK_PATH);
    config.take_mdns_url(option, &url).map_err(|bad| Failure::new(bad.to_string()))?;
    // They may name another address for the data.
    take(&found, config, logging)
}

/// Why nothing was found.
enum Lookup {
    Options(String),
    Failed(LookupError),
}

impl Lookup {
    fn into_failure(self, option: &str) -> Failure {
        match self {
            Self::Options(why) => Failure::new(why),
            Self::Failed(error) => Failure::new(format!(
                "{option} is mdns, but {error}; let Ironic announce itself ([conductor]enable_mdns) on a network of \
                 this machine, or give a URL"
            )),
        }
    }
}

async fn find(service: &str, config: &Config, logging: &Logging) -> Result<Found, Lookup> {
    let address = |text: &String| {
        text.parse().map_err(|_| Lookup::Options(format!("[mdns]interfaces: {text:?} is no address of an interface")))
    };
    let options = mdns::Options {
        attempts: config.mdns_lookup_attempts(),
        interfaces: config.mdns_interfaces().iter().map(address).collect::<Result<_, _>>()?,
        places: places(config).map_err(Lookup::Options)?,
    };
    mdns::find(service, &options, &Root::default(), logging.log()).await.map_err(Lookup::Failed)
}

fn take(found: &Found, config: &Config, logging: &Logging) -> Result<(), Failure> {
    let overrides = config.take_mdns(&found.parameters, &places(config).map_err(Failure::new)?);
    for refused in &overrides.refused {
        warn!(logging.log(), "multicast DNS: not set: {refused}"; "from" => %found.from);
    }
    for name in &overrides.taken {
        info!(logging.log(), "multicast DNS has set an option"; "option" => name, "from" => %found.from);
    }
    if overrides.taken.iter().any(|name| name == "debug") {
        logging.set_debug(config.debug());
    }
    Ok(())
}

fn places(config: &Config) -> Result<Places, String> {
    Places::parse(&config.mdns_allowed_addresses()).map_err(|why| format!("[mdns]allowed_addresses: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources};

    fn config(options: &[(&str, &str)]) -> Config {
        let mut sources = Sources::default();
        for (variable, value) in options {
            sources.environment.insert((*variable).to_owned(), (*value).to_owned());
        }
        sources.flags = vec![Flag { name: "debug", value: "false".into(), flag: "nodebug".into() }];
        sources.resolve().expect("valid").0
    }

    async fn outcome(options: &[(&str, &str)]) -> (Result<(), String>, Option<String>) {
        let config = config(options);
        let logging = Logging::to(std::io::sink, true);
        let result = api(&config, &logging).await.map_err(|failure| failure.to_string());
        assert!(!logging.ring().text().contains("asking by multicast DNS"), "nothing may be asked");
        (result, config.api_url())
    }

    #[tokio::test]
    async fn nothing_is_asked_unless_an_option_says_so() {
        assert_eq!(outcome(&[]).await, (Ok(()), None));
        let url = ("OS_DEFAULT__API_URL", "http://10.0.0.5:6385");
        assert_eq!(outcome(&[url, ("OS_MDNS__USE_MDNS", "true")]).await, (Ok(()), Some(url.1.to_owned())));
    }

    #[tokio::test]
    async fn options_that_make_no_sense_are_named_before_anything_is_asked() {
        let asked = ("OS_DEFAULT__API_URL", "mdns");
        let error = outcome(&[asked, ("OS_MDNS__INTERFACES", "eth0")]).await.0.expect_err("no address");
        assert!(error.contains("[mdns]interfaces") && error.contains("\"eth0\""), "{error}");
        let error = outcome(&[asked, ("OS_MDNS__ALLOWED_ADDRESSES", "10/8,a b")]).await.0.expect_err("no place");
        assert!(error.contains("[mdns]allowed_addresses") && error.contains("\"10/8\""), "{error}");
    }
}
