//! Warnings for names that no option has. Upstream ignores them, so they stop nothing.

use std::collections::BTreeSet;

use super::names::nearest;
use super::options::OPTIONS;
use super::resolve::Sources;
use super::spec::{DEFAULT_GROUP, Spec};

/// Options of upstream's logging library. This agent logs to standard error, which the init system keeps.
const LOGGING: &[&str] = &[
    "default_log_levels",
    "fatal_deprecations",
    "instance_format",
    "instance_uuid_format",
    "log_color",
    "log_config_append",
    "log_date_format",
    "log_rotate_interval",
    "log_rotate_interval_type",
    "log_rotation_type",
    "logging_context_format_string",
    "logging_debug_format_suffix",
    "logging_default_format_string",
    "logging_exception_prefix",
    "logging_user_identity_format",
    "max_logfile_count",
    "max_logfile_size_mb",
    "publish_errors",
    "rate_limit_burst",
    "rate_limit_except_level",
    "rate_limit_interval",
    "syslog_log_facility",
    "use_journal",
    "use_stderr",
    "use_syslog",
];

const NO_EFFECT: &str = "has no effect; this agent logs to standard error";

/// Most warnings of one kind of source; a file that is no configuration at all must not fill the log.
const MOST: usize = 20;

/// All names in files, the environment and the kernel line that nothing is called.
pub(super) fn warnings(sources: &Sources) -> Vec<String> {
    let mut warnings = in_files(sources);
    let ignored = sources.flags.iter().filter(|flag| LOGGING.contains(&flag.name));
    warnings.extend(ignored.map(|flag| format!("command line: --{} {NO_EFFECT}", flag.flag)));
    warnings.extend(in_environment(sources).take(MOST));
    warnings.extend(in_parameters(sources).take(MOST));
    warnings
}

fn in_files(sources: &Sources) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut sections = BTreeSet::new();
    for (section, key, line) in sources.files.own() {
        if OPTIONS.iter().any(|spec| is(spec, section, key)) || sections.contains(section) {
            continue;
        }
        let at = format!("{}:{}", line.path.display(), line.line);
        if warnings.len() == MOST {
            warnings.push(format!("{at}: there are more names that no option has"));
            break;
        }
        if section == DEFAULT_GROUP && LOGGING.contains(&key) {
            warnings.push(format!("{at}: {key} {NO_EFFECT}"));
        } else if !is_section(section) {
            sections.insert(section);
            let groups = OPTIONS.iter().map(|spec| spec.group);
            warnings.push(format!("{at}: there is no section {section:?}{}", hint(nearest(section, groups))));
        } else {
            warnings.push(format!("{at}: there is no option {key:?} in [{section}]{}", key_hint(section, key)));
        }
    }
    warnings
}

fn in_environment(sources: &Sources) -> impl Iterator<Item = String> {
    let unknown = |name: &&String| !OPTIONS.iter().any(|spec| spec.variable() == **name);
    sources.environment.keys().filter(unknown).filter_map(|name| {
        let variables: Vec<String> = OPTIONS.iter().map(Spec::variable).collect();
        let near = nearest(name, variables.iter().map(String::as_str));
        // Other programs have such variables too.
        let ours = near.is_some() || OPTIONS.iter().any(|spec| in_group(name, spec.group));
        ours.then(|| format!("environment: {name} is no option{}", hint(near)))
    })
}

fn in_parameters(sources: &Sources) -> impl Iterator<Item = String> {
    let words = || OPTIONS.iter().filter_map(|spec| spec.kernel);
    let parameters = [("kernel line", &sources.kernel), ("virtual media", &sources.media)];
    let said = parameters.into_iter().flat_map(|(source, all)| all.keys().map(move |word| (source, word)));
    let unknown = said.filter(move |(_, word)| word.starts_with("ipa") && !words().any(|known| known == *word));
    // Plugins have words of their own, so only what is nearly one of ours is a mistake.
    unknown.filter_map(move |(source, word)| {
        let near = nearest(word, words())?;
        Some(format!("{source}: {word} is no parameter of the agent{}", hint(Some(near))))
    })
}

fn is(spec: &Spec, section: &str, key: &str) -> bool {
    (spec.group, spec.name) == (section, key) || spec.formerly == Some((section, key))
}

fn is_section(section: &str) -> bool {
    OPTIONS.iter().any(|spec| spec.group == section || spec.formerly.is_some_and(|(group, _)| group == section))
}

fn in_group(variable: &str, group: &str) -> bool {
    let named = variable.strip_prefix("OS_").and_then(|rest| rest.split_once("__"));
    named.is_some_and(|(name, _)| name.eq_ignore_ascii_case(group))
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn key_hint(section: &str, key: &str) -> String {
    let within = OPTIONS.iter().filter(|spec| spec.group == section).map(|spec| spec.name);
    if let Some(near) = nearest(key, within) {
        return hint(Some(near));
    }
    let elsewhere = OPTIONS.iter().find(|spec| spec.name == key);
    elsewhere.map(|spec| format!("; it belongs into [{}]", spec.group)).unwrap_or_default()
}
