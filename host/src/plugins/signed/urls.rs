//! Where plugins are to be fetched from: `https://host/libacme.so#1.2.0,https://...`.

use std::fmt;

use semver::VersionReq;

use super::super::rank;
use super::super::refusal::Refusal;
use super::super::text::{printable_line, shortened};
use super::claim::is_file_name;
use crate::ironic::Endpoint;

/// Most URLs; what is beyond them is refused.
const MOST: usize = 16;
/// Most bytes of a bad URL that an error repeats.
const SHOWN: usize = 200;
/// What a signature's URL ends in.
const SIGNATURE: &str = ".minisig";

/// A plugin that is to be fetched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The file's URL.
    pub(crate) plugin: Endpoint,
    /// The URL of its signature.
    pub(crate) signature: Endpoint,
    /// The URL for people: without user, password and query, which may hold secrets.
    pub(crate) shown: String,
    /// The file's name.
    pub(crate) file: String,
    /// Which versions are taken; all if none.
    pub(crate) pin: Option<Pin>,
}

/// Versions that are taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pin {
    /// `1.2.0`: this one.
    Exact(String),
    /// `>=1.2.0`, `^1.2` or `~1.2`: those that fit.
    Requirement(VersionReq),
}

/// Reads the items of the option. Each is something to fetch, or the item as it may be shown and why it is not.
pub(crate) fn parse(items: &[String]) -> Vec<Result<Wanted, (String, Refusal)>> {
    let items = items.iter().filter(|item| !item.is_empty());
    let one = |(number, item): (usize, &String)| {
        let wanted = if number < MOST {
            Wanted::parse(item)
        } else {
            Err(Refusal::new(format!("there are more than {MOST} URLs"), "name fewer in ipa-plugin-urls"))
        };
        wanted.map_err(|refusal| (shown(item), refusal))
    };
    items.enumerate().map(one).collect()
}

impl Wanted {
    fn parse(item: &str) -> Result<Self, Refusal> {
        let (url, fragment) = item.split_once('#').map_or((item, None), |(url, fragment)| (url, Some(fragment)));
        let bad = |cause: &str| Refusal::new(cause, "write it as https://HOST/NAME.so in ipa-plugin-urls");
        // Its error would repeat a password.
        let plugin = Endpoint::parse(url).map_err(|_| bad("it is no URL"))?;
        if !plugin.is_tls() {
            return Err(bad("it is not https, and plugins are fetched by nothing else"));
        }
        let (path, query) = url.split_once('?').map_or((url, ""), |(path, query)| (path, query));
        let file = decoded(path.rsplit('/').next().unwrap_or_default())
            .filter(|file| is_file_name(file))
            .ok_or_else(|| bad("its last part is no name of a plugin file"))?;
        let question = if query.is_empty() { "" } else { "?" };
        let signature = Endpoint::parse(&format!("{path}{SIGNATURE}{question}{query}"));
        let signature = signature.map_err(|_| bad("no URL can be made of it for the signature"))?;
        let pin = fragment.map(Pin::parse).transpose()?;
        Ok(Self { plugin, signature, shown: shown(url), file, pin })
    }
}

impl Pin {
    fn parse(fragment: &str) -> Result<Self, Refusal> {
        let bad = || {
            let shown = printable_line(fragment.as_bytes(), SHOWN);
            Refusal::new(
                format!("{shown:?} after its # is no version"),
                "write #1.2.0 for just that version, or a requirement such as #>=1.2.0, with %2C for a comma",
            )
        };
        let text = decoded(fragment).ok_or_else(bad)?;
        if rank::version(&text).is_some() {
            return Ok(Self::Exact(text));
        }
        let is_requirement = text.starts_with(['=', '>', '<', '~', '^']);
        VersionReq::parse(&text).ok().filter(|_| is_requirement).map(Self::Requirement).ok_or_else(bad)
    }

    /// Whether a version is taken.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn check(&self, version: &str) -> Result<(), Refusal> {
        let found = rank::version(version);
        let fits = match (self, &found) {
            (Self::Exact(wanted), Some(_)) => rank::version(wanted) == found,
            (Self::Requirement(requirement), Some(found)) => requirement.matches(found),
            (_, None) => false,
        };
        if fits {
            return Ok(());
        }
        Err(Refusal::new(
            format!(
                "it is version {version}, validly signed, but the URL asks for {self}: an old file may be replayed"
            ),
            "put the version that is asked for at the URL, or correct what follows the # in ipa-plugin-urls",
        ))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => f.write_str(version),
            Self::Requirement(requirement) => requirement.fmt(f),
        }
    }
}

/// A URL without what may be secret: user and password, query, fragment.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let public = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
        }
        None => url.rsplit('@').next().unwrap_or_default().to_owned(),
    };
    printable_line(shortened(&public, SHOWN).as_bytes(), SHOWN)
}

/// A text without percent signs. None if one of them stands for nothing, or the result is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(item: &str) -> Wanted {
        Wanted::parse(item).unwrap_or_else(|refusal| panic!("{item}: {refusal}"))
    }

    #[test]
    fn a_url_gives_file_signature_and_pin() {
        let one = wanted("https://user:pass@host:8443/a/libacme.so?token=x#1.2.0");
        assert_eq!((one.file.as_str(), one.shown.as_str()), ("libacme.so", "https://host:8443/a/libacme.so"));
        assert_eq!(one.plugin.to_string(), "https://host:8443/a/libacme.so?token=x");
        assert_eq!(one.signature.to_string(), "https://host:8443/a/libacme.so.minisig?token=x");
        assert_eq!(one.pin, Some(Pin::Exact("1.2.0".into())));
        let plain = wanted("https://[fd00::5]/lib%61cme.so");
        assert_eq!((plain.file.as_str(), plain.pin), ("libacme.so", None));
        let zone = wanted("https://[fe80::1%eth0]/a.so");
        assert_eq!(zone.signature.to_string(), "https://[fe80::1%eth0]/a.so.minisig");
    }

    #[test]
    fn bad_items_are_named_without_their_secrets_and_the_others_stay() {
        let items = ["http://u:secret@a/b.so", "https://u:secret@a b/c.so?secret", "", "https://a/b.so", "secret@x"];
        let parsed = parse(&items.map(str::to_owned));
        assert_eq!(parsed.len(), 4);
        assert!(parsed[2].is_ok());
        let text = format!("{:?}", parsed.iter().filter_map(|item| item.as_ref().err()).collect::<Vec<_>>());
        assert!(text.contains("http://a/b.so") && text.contains("not https"), "{text}");
        assert!(text.contains("it is no URL") && !text.contains("secret"), "{text}");
        for item in ["https://a", "https://a/", "https://a/b", "https://a/b.so/", "https://a/%2f.so", "https://a/%.so"]
        {
            assert!(Wanted::parse(item).is_err(), "{item}");
        }
        let many = vec!["https://a/b.so".to_owned(); MOST + 2];
        assert_eq!(parse(&many).iter().filter(|item| item.is_ok()).count(), MOST);
        assert_eq!(shown(&format!("https://a/{}", "\u{e9}".repeat(500))).chars().last(), Some('\u{e9}'));
    }

    #[test]
    fn a_pin_takes_just_what_it_says() {
        for (pin, takes, refuses) in [
            ("1.2.0", &["1.2.0", "1.2"][..], &["1.1.9", "1.2.1", "2.0.0", "first"][..]),
            ("1.2", &["1.2.0", "1.2"], &["1.2.1"]),
            (">=1.2.0", &["1.2.0", "1.10.0", "2.0.0"], &["1.1.9", "first"]),
            ("^1.2", &["1.2.0", "1.9.0"], &["1.1.0", "2.0.0"]),
            (">=1.2%2C%20<1.4", &["1.3.0"], &["1.4.0"]),
        ] {
            let pin = wanted(&format!("https://a/b.so#{pin}")).pin.expect("a pin");
            for version in takes {
                assert_eq!(pin.check(version), Ok(()), "{pin} {version}");
            }
            for version in refuses {
                let refusal = pin.check(version).expect_err("refused");
                assert!(refusal.cause.contains(version) && refusal.cause.contains("replayed"), "{refusal}");
            }
        }
        for pin in ["", "latest", "*", "1.x", ">=", "%", "%zz"] {
            let refusal = Wanted::parse(&format!("https://a/b.so#{pin}")).expect_err(pin);
            assert!(refusal.cause.contains("is no version") && refusal.cure.contains("#1.2.0"), "{refusal}");
        }
    }
}
