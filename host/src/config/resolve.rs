//! Which source has the last word on each option.

use std::collections::BTreeMap;

use super::effective::{BadValue, Config, Origin, Setting};
use super::error::ConfigError;
use super::files::Files;
use super::options::OPTIONS;
use super::spec::{DEFAULT_GROUP, Default, Spec};
use super::substitute::substitute;
use super::{boolean, unknown};

/// A flag of the command line that sets an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The option of group `DEFAULT`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// The flag as it can be typed, without its dashes.
    pub flag: String,
}

/// All that was said, strongest first.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// The command line; of equal names the last one counts.
    pub flags: Vec<Flag>,
    /// The environment, see [`super::environment`].
    pub environment: BTreeMap<String, String>,
    /// The configuration files.
    pub files: Files,
    /// The parameters on virtual media.
    pub media: BTreeMap<String, String>,
    /// The kernel line.
    pub kernel: BTreeMap<String, String>,
    /// True if the machine has no IPv6.
    pub without_ipv6: bool,
}

impl Sources {
    /// The words of the kernel line and of virtual media, which has the last word.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        let mut all = self.kernel.clone();
        all.extend(self.media.clone());
        all
    }

    /// Decides on every option. The second part are warnings: names that nothing is called, and values that would be
    /// refused if a stronger source had not replaced them.
    ///
    /// # Errors
    /// Every value in effect that its option does not accept.
    pub fn resolve(&self) -> Result<(Config, Vec<String>), ConfigError> {
        let mut warnings = unknown::warnings(self);
        let (mut settings, mut bad) = (Vec::new(), Vec::new());
        for spec in OPTIONS {
            match self.setting(spec, &mut warnings) {
                Ok(setting) => settings.push(setting),
                Err(refused) => bad.push(refused),
            }
        }
        if !bad.is_empty() {
            return Err(ConfigError::Values(bad));
        }
        let config = Config::new(settings);
        warnings.extend(halves(&config));
        Ok((config, warnings))
    }

    fn setting(&self, spec: &Spec, warnings: &mut Vec<String>) -> Result<Setting, BadValue> {
        let mut said = self.said(spec).into_iter().map(|(text, origin)| self.read(spec, text, origin));
        let Some(first) = said.next() else {
            let machine = spec.name == "listen_host" && self.without_ipv6;
            let default = if machine { Default::Text("0.0.0.0") } else { spec.default };
            return Ok(Setting { value: default.into(), origin: Origin::Default });
        };
        let setting = first?;
        warnings.extend(said.filter_map(Result::err).map(|bad| format!("{bad}; it is not used: {}", setting.origin)));
        Ok(setting)
    }

    fn read(&self, spec: &Spec, text: &str, origin: Origin) -> Result<Setting, BadValue> {
        if spec.kernel_first && matches!(origin, Origin::Kernel(_) | Origin::VirtualMedia(_)) {
            return Ok(Setting { value: super::OptionValue::Boolean(boolean::lenient(text)), origin });
        }
        let value = substitute(text, &|name| self.raw(name)).and_then(|text| spec.kind.parse(&text));
        match value {
            Ok(value) => Ok(Setting { value, origin }),
            // What is wrong with a secret may repeat a part of it.
            Err(_) if spec.secret => {
                Err(BadValue::new(spec, text, origin, "a text, with $$ for each dollar sign".to_owned()))
            }
            Err(allowed) => Err(BadValue::new(spec, text, origin, allowed)),
        }
    }

    /// What was said on an option, strongest first.
    fn said(&self, spec: &Spec) -> Vec<(&str, Origin)> {
        let flag = self.flags.iter().rev().find(|flag| spec.group == DEFAULT_GROUP && flag.name == spec.name);
        let flag = flag.map(|flag| (flag.value.as_str(), Origin::Flag(flag.flag.clone())));
        let variable = spec.variable();
        let variable = self.environment.get(&variable).map(|value| (value.as_str(), Origin::Variable(variable)));
        let file = self.files.get(spec.group, spec.name);
        let file = file.or_else(|| spec.formerly.and_then(|(group, name)| self.files.get(group, name)));
        let file = file.map(|at| (at.value.as_str(), Origin::File { path: at.path.to_path_buf(), line: at.line }));
        let media = spec.kernel.and_then(|word| Some((self.media.get(word)?.as_str(), Origin::VirtualMedia(word))));
        let line = spec.kernel.and_then(|word| Some((self.kernel.get(word)?.as_str(), Origin::Kernel(word))));
        if spec.kernel_first {
            [media, line, flag, variable, file].into_iter().flatten().collect()
        } else {
            [flag, variable, file, media, line].into_iter().flatten().collect()
        }
    }

    /// The text of an option by name or `group.name`, before its own names are replaced; empty if it has none.
    fn raw(&self, name: &str) -> Option<String> {
        let (group, name) = name.split_once('.').unwrap_or((DEFAULT_GROUP, name));
        let (_, spec) = super::effective::find(group, name)?;
        if let Some((text, _)) = self.said(spec).first() {
            return Some((*text).to_owned());
        }
        Some(match spec.default {
            Default::Unset => String::new(),
            Default::Text(text) => text.to_owned(),
            Default::Integer(number) => number.to_string(),
            Default::Float(number) => number.to_string(),
            Default::Boolean(truth) => truth.to_string(),
            Default::List(items) => items.join(","),
        })
    }
}

/// Pairs of options of which one is set and the other is not.
fn halves(config: &Config) -> Vec<String> {
    let pairs = [
        ("certfile", config.certfile().is_some(), "keyfile", config.keyfile().is_some()),
        ("tls_cert_file", config.tls_cert_file().is_some(), "tls_key_file", config.tls_key_file().is_some()),
    ];
    let half = pairs.into_iter().filter(|(_, one, _, other)| one != other);
    half.map(|(one, is_set, other, _)| {
        let (set, unset) = if is_set { (one, other) } else { (other, one) };
        format!("{}: {set} is set but {unset} is not, so neither is used", config.origin(set))
    })
    .collect()
}

#[cfg(test)]
mod tests;
