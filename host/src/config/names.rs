//! Names that nothing is called: which one was meant.

/// The known name that is nearest to a word: the same but for dashes, case or the prefix of the kernel line, or with a
/// typing error or two.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        name.strip_prefix("ipa_").map_or_else(|| name.clone(), str::to_owned)
    };
    let word = plain(word);
    let distances = known.into_iter().map(|name| (strsim::osa_distance(&word, &plain(name)), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.chars().count() / 4).clamp(1, 3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_dashes_and_prefixes_are_seen_through() {
        let known = ["api_url", "listen_port", "lookup_timeout"];
        for (word, name) in [
            ("api_ulr", Some("api_url")),
            ("ipa-api-url", Some("api_url")),
            ("Listen-Port", Some("listen_port")),
            ("lookup_timout", Some("lookup_timeout")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), name, "{word}");
        }
    }
}
