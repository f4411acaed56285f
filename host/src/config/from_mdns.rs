//! The options that come with an answer of multicast DNS, which anybody on the link can give.

use std::fmt;

use super::effective::{BadValue, Config, find};
use super::spec::DEFAULT_GROUP;
use crate::ironic::Endpoint;
use crate::mdns::{Parameter, Places};
use crate::power;

/// Who sets them.
const WHO: &str = "mdns";
/// What the names of options begin with.
const PREFIX: &[u8] = b"ipa_";
/// Options that say where something is sent.
const ADDRESSES: &[&str] = &["api_url", "inspection_callback_url"];
/// Most parameters that are looked at.
const MOST: usize = 64;
/// Most bytes of a parameter that are repeated.
const SHOWN: usize = 60;

/// What came of the parameters of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MdnsOverrides {
    /// The options that were set.
    pub taken: Vec<String>,
    /// Why the others were not, a sentence each.
    pub refused: Vec<String>,
}

impl Config {
    /// Sets the options that an answer of multicast DNS names: `ipa_NAME=VALUE` sets `NAME` of group `DEFAULT`.
    ///
    /// Only what `[mdns]allowed_overrides` lists is set. By default that is neither a secret nor anything about TLS. An
    /// address of Ironic must be in one of the `places` as well. The options of group `mdns` cannot be set.
    pub fn take_mdns(&self, parameters: &[Parameter], places: &Places) -> MdnsOverrides {
        let allowed = self.mdns_allowed_overrides();
        let mut overrides = MdnsOverrides::default();
        for parameter in parameters.iter().take(MOST) {
            match self.take_parameter(parameter, &allowed, places) {
                Ok(name) => overrides.taken.push(name.to_owned()),
                Err(why) => overrides.refused.push(why),
            }
        }
        if parameters.len() > MOST {
            overrides.refused.push(format!("{} more parameters, which are too many", parameters.len() - MOST));
        }
        overrides
    }

    fn take_parameter<'a>(
        &self,
        parameter: &'a Parameter,
        allowed: &[String],
        places: &Places,
    ) -> Result<&'a str, String> {
        let key = Shown(&parameter.key);
        let name = parameter.key.strip_prefix(PREFIX).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| format!("{key}: no option is called so; their names begin with ipa_"))?;
        let Some((_, spec)) = find(DEFAULT_GROUP, name) else {
            return Err(format!("{key}: this agent has no such option"));
        };
        if !allowed.iter().any(|option| option == name) {
            return Err(format!("{name} is not listed in [mdns]allowed_overrides"));
        }
        let value = parameter.value.as_deref().ok_or_else(|| format!("{key} has no value"))?;
        let value = std::str::from_utf8(value).map_err(|_| format!("{key}: its value is no text"))?;
        let refused = |why: &str| {
            format!("{key} is {}; {why}", if spec.secret { "***".into() } else { Shown(value.as_bytes()).to_string() })
        };
        if ADDRESSES.contains(&name) {
            let urls = Endpoint::parse_list(value).map_err(|why| refused(&why))?;
            if let Some(url) = urls.iter().find(|url| !places.has_host(url.host())) {
                return Err(refused(&format!("[mdns]allowed_addresses does not list {}", url.host())));
            }
        }
        if name == "ntp_server" && !power::is_server(value) {
            return Err(refused("it is neither an address nor the name of a host"));
        }
        self.set(DEFAULT_GROUP, name, &value.into(), WHO)
            .map_err(|BadValue { allowed, .. }| refused(&format!("allowed is {allowed}")))?;
        Ok(name)
    }

    /// Sets where multicast DNS has found Ironic, or inspection.
    pub(crate) fn take_mdns_url(&self, option: &str, url: &Endpoint) -> Result<(), BadValue> {
        self.set(DEFAULT_GROUP, option, &url.to_string().into(), WHO)
    }
}

/// Bytes for people, in one short line.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "\"{}{}\"", short.escape_ascii(), if short.len() < self.0.len() { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Sources};

    fn parameter(text: &str) -> Parameter {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        Parameter { key: key.as_bytes().to_vec(), value: value.map(|value| value.as_bytes().to_vec()) }
    }

    fn take(config: &Config, parameters: &[&str]) -> MdnsOverrides {
        let parameters: Vec<Parameter> = parameters.iter().map(|text| parameter(text)).collect();
        config.take_mdns(&parameters, &Places::parse(&config.mdns_allowed_addresses()).expect("valid"))
    }

    /// A configuration in which these options may be set.
    fn allowing(options: &str) -> Config {
        let mut sources = Sources::default();
        sources.environment.insert("OS_MDNS__ALLOWED_OVERRIDES".into(), options.into());
        sources.resolve().expect("valid").0
    }

    #[test]
    fn by_default_only_the_callback_and_the_time_server_are_set() {
        let config = Config::default();
        let overrides = take(
            &config,
            &["ipa_inspection_callback_url=http://10.0.0.5:5050/v1/continue", "ipa_ntp_server=ntp.example"],
        );
        assert_eq!(overrides.taken, ["inspection_callback_url", "ntp_server"]);
        assert_eq!(overrides.refused, [""; 0]);
        assert_eq!(config.ntp_server().as_deref(), Some("ntp.example"));
        assert_eq!(config.inspection_callback_url().as_deref(), Some("http://10.0.0.5:5050/v1/continue"));
        assert_eq!(config.origin("ntp_server"), Origin::Runtime("mdns"));
    }

    /// Whoever answers cannot switch off what protects the agent, and every try is told.
    #[test]
    fn neither_tls_nor_secrets_nor_the_list_itself_can_be_set() {
        let config = Config::default();
        let before = format!("{:?}", config.settings());
        let tries = [
            "ipa_insecure=true",
            "ipa_cafile=/tmp/evil.pem",
            "ipa_agent_token=known",
            "ipa_api_url=http://10.0.0.9",
            "ipa_tls_min_version=1.2",
            "ipa_plugin_dir=/tmp",
            "ipa_use_mdns=true",
            "ipa_allowed_overrides=insecure",
            "ipa_mdns_allowed_overrides=insecure",
            "ipa_image_server_password=x",
            "insecure=true",
        ];
        let overrides = take(&config, &tries);
        assert_eq!(format!("{:?}", config.settings()), before);
        assert_eq!(overrides.taken, [""; 0]);
        assert_eq!(overrides.refused.len(), tries.len());
        assert_eq!(overrides.refused[0], "insecure is not listed in [mdns]allowed_overrides");
        assert_eq!(overrides.refused[7], "\"ipa_allowed_overrides\": this agent has no such option");
        assert_eq!(overrides.refused[10], "\"insecure\": no option is called so; their names begin with ipa_");
        assert!(!overrides.refused.iter().any(|why| why.contains("known")), "{overrides:?}");
    }

    #[test]
    fn what_is_listed_can_be_set_and_an_empty_list_allows_nothing() {
        let config = allowing("insecure,agent_token,listen_port,debug");
        let overrides = take(
            &config,
            &["ipa_insecure=1", "ipa_agent_token=t", "ipa_listen_port=70000", "ipa_debug", "ipa_ntp_server=a"],
        );
        assert_eq!(overrides.taken, ["insecure", "agent_token"]);
        assert_eq!(
            overrides.refused,
            [
                "\"ipa_listen_port\" is \"70000\"; allowed is a whole number from 0 to 65535",
                "\"ipa_debug\" has no value",
                "ntp_server is not listed in [mdns]allowed_overrides",
            ]
        );
        assert!(config.insecure() && !config.debug());
        assert_eq!(
            take(&allowing(""), &["ipa_ntp_server=a", "ipa_inspection_callback_url=http://10.0.0.5"]).taken,
            [""; 0]
        );
    }

    #[test]
    fn data_go_only_to_places_that_are_listed() {
        let config = Config::default();
        for url in [
            "http://9.9.9.9/",
            "http://10.0.0.5,http://evil.example/",
            "http://10.0.0.5@9.9.9.9/",
            "mdns",
            "http://[::1]",
        ] {
            let overrides = take(&config, &[&format!("ipa_inspection_callback_url={url}")]);
            assert!(overrides.taken.is_empty() && overrides.refused.len() == 1, "{url}: {overrides:?}");
        }
        assert_eq!(config.inspection_callback_url(), None);
    }

    #[test]
    fn what_is_no_text_or_no_host_is_refused() {
        let config = Config::default();
        let overrides = take(&config, &["ipa_ntp_server=a;reboot", "ipa_ntp_server=-x", "ipa_\u{1b}[2J=1", ""]);
        assert!(overrides.taken.is_empty());
        assert!(overrides.refused[0].contains("neither an address nor the name"), "{overrides:?}");
        assert!(overrides.refused[2].contains("\\x1b[2J"), "{overrides:?}");
        let bytes = [
            Parameter { key: b"ipa_ntp_server".to_vec(), value: Some(vec![0xff]) },
            Parameter { key: vec![0xff; 300], value: None },
        ];
        let overrides = config.take_mdns(&bytes, &Places::parse::<&str>(&[]).expect("empty"));
        assert_eq!(overrides.refused[0], "\"ipa_ntp_server\": its value is no text");
        assert!(overrides.refused[1].len() < 400);
        let many = vec![parameter("x"); 1000];
        let overrides = config.take_mdns(&many, &Places::parse::<&str>(&[]).expect("empty"));
        assert_eq!(overrides.refused.len(), MOST + 1);
    }
}
