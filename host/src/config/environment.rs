//! The environment: `OS_<GROUP>__<OPTION>`.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables that look like options: they begin with `OS_` and have two underscores in a row.
pub fn options(variables: impl IntoIterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.strip_prefix("OS_").is_some_and(|rest| rest.contains("__")))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_options_count() {
        let given = [("OS_DEFAULT__DEBUG", "1"), ("OS_AUTH_URL", "http://k"), ("HOME", "/"), ("X_OS_A__B", "")];
        let options = options(given.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(options, BTreeMap::from([("OS_DEFAULT__DEBUG".to_owned(), "1".to_owned())]));
    }
}
