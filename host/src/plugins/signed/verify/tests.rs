//! The keys and signatures were made by minisign 0.11: `minisign -G -W`, `minisign -S -t COMMENT`, `-l` for the legacy
//! one.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

const KEY: &str = "untrusted comment: minisign public key B5407A6D16C88847\n\
    RWRHiMgWbXpAtS0d4Hg5JqhWTPDsLqXkLzWP7Y7I9Z+ccOXnQXKEPD66\n";
const OTHER_KEY: &str = "untrusted comment: minisign public key 501A56FD6610DE3A\n\
    RWQ63hBm/VYaUKWaawpLRDfxE8Q2yauunNfUo5zaoFwVZMqorim2xxTv\n";
const FILE: &[u8] = b"a plugin\n";
const COMMENT: &str = "ipa-plugin name=acme version=1.2.0 file=libacme.so";
const GOOD: [&str; 4] = [
    "untrusted comment: signature from minisign secret key",
    "RURHiMgWbXpAtZ0DzUe6Yf8sHY3bei3CuaHPQK4oWpeMxaC+BJXiWd/1PbxZN4U7x+5wHofLSsQEn/Ey3Q6MPXX4ajLP2dgn3AY=",
    "trusted comment: ipa-plugin name=acme version=1.2.0 file=libacme.so",
    "ZjPuU5SdDRWsSDhmrjfMQnLVl7XdjfZkSroT+dHfC47RsOFw9aKpVv3IR697uFN4HC5DRSpGxPYsqyj8IRAJDA==",
];
/// The comment that the tool makes by itself.
const PLAIN: [&str; 4] = [
    GOOD[0],
    GOOD[1],
    "trusted comment: timestamp:1795565134\tfile:libacme.so\thashed",
    "h20r8kjtGltq74R50yZEVHS7OsznpZSanCJTCS6/HidnL+/1I71l6SSO/yM9Z2m4pUjhjEO7Z12KmlVteRofDA==",
];
const LEGACY: [&str; 4] = [
    GOOD[0],
    "RWRHiMgWbXpAtVrTaLWYWv2ZwGnI0GRHMUYw1rJujHXdwNLQG7ItUGea4bDOj6S3Qv975m6qMOAh3TuxZtiUWaAAC5cnsy/Hfgs=",
    GOOD[2],
    "3NCgisAbJt3AWRbaFnOHHvhPCIdTreoXY3Q1hWB5Pio5Hi2mY3bG/+4EHL1vHKE/v4Nhv4RIdXA75fzpPUc/BQ==",
];
/// By the other key.
const FOREIGN: [&str; 4] = [
    GOOD[0],
    "RUQ63hBm/VYaUODWTInhBrFLytPx1H4Fbep0kEhI/9Ln4BOXjQ+pkR6dRKySJLdq9jW7N4UjaSUGARxhQ/RAiQWITz01wE14Hwg=",
    GOOD[2],
    "OGtz5grbTVnNGxQHJ0NV3O+Czf4OWMahkTyYtsZ2YGb0QTPFmqFiWUkU0BwmJwcmkFSckdynb+yd3FwnHeSMDQ==",
];

fn keys(texts: &[&str]) -> Vec<Key> {
    let directory = tempfile::tempdir().expect("a directory");
    let read = |(number, text): (usize, &&str)| {
        let path = directory.path().join(format!("{number}.pub"));
        fs::write(&path, text).expect("written");
        Key::read(&path).expect("a key")
    };
    texts.iter().enumerate().map(read).collect()
}

fn cause(bytes: &[u8], signature: &str) -> String {
    let keys = keys(&[KEY]);
    verify(bytes, signature.as_bytes(), &keys).expect_err("refused").cause
}

#[test]
fn a_signature_by_any_of_the_keys_is_valid() {
    let keys = keys(&[OTHER_KEY, KEY]);
    for (signature, id) in [(GOOD, "B5407A6D16C88847"), (FOREIGN, "501A56FD6610DE3A")] {
        let verified = verify(FILE, signature.join("\n").as_bytes(), &keys).expect("valid");
        assert_eq!((verified.claim.to_string().as_str(), verified.key.id.as_str()), (COMMENT, id));
    }
    // What is not signed may be changed: the first line, and how lines end.
    let changed = [&["untrusted comment: of mine"], &GOOD[1..]].concat().join("\r\n");
    verify(FILE, changed.as_bytes(), &keys).expect("valid");
}

#[test]
fn another_file_or_a_changed_comment_does_not_fit() {
    for bytes in [&b"a plugin"[..], b"a plugin\n\n", b"A plugin\n", b""] {
        assert!(cause(bytes, &GOOD.join("\n")).contains("by key B5407A6D16C88847 does not fit"));
    }
    for (from, to) in [("1.2.0", "1.2.1"), ("acme ", "evil "), ("libacme.so", "libacme.so ")] {
        let signature = GOOD.join("\n").replace(from, to);
        assert!(cause(FILE, &signature).contains("the trusted comment was changed"), "{from}");
    }
    // A comment that was signed, but with another file's signature.
    let mixed = [GOOD[0], GOOD[1], PLAIN[2], GOOD[3]].join("\n");
    assert!(cause(FILE, &mixed).contains("does not fit"));
    // The ID alone proves nothing.
    let bytes = |line: &str| BASE64_STANDARD.decode(line).expect("base64");
    let renamed = BASE64_STANDARD.encode([&bytes(GOOD[1])[..10], &bytes(FOREIGN[1])[10..]].concat());
    let renamed = FOREIGN.join("\n").replace(FOREIGN[1], &renamed);
    assert!(cause(FILE, &renamed).contains("does not fit"));
}

#[test]
fn a_key_that_is_not_here_is_named_with_those_that_are() {
    let keys = keys(&[KEY]);
    let refusal = verify(FILE, FOREIGN.join("\n").as_bytes(), &keys).expect_err("refused");
    assert!(refusal.cause.contains("the key 501A56FD6610DE3A, which is not trusted here"), "{refusal}");
    assert!(refusal.cause.contains("B5407A6D16C88847 ("), "{refusal}");
}

#[test]
fn a_legacy_signature_is_refused_although_it_is_valid() {
    let keys = keys(&[KEY]);
    keys[0].key.verify(FILE, &Signature::decode(&LEGACY.join("\n")).expect("one"), true).expect("it is valid");
    let refusal = verify(FILE, LEGACY.join("\n").as_bytes(), &keys).expect_err("refused");
    assert!(refusal.cause.contains("legacy form") && refusal.cure.contains("without -l"), "{refusal}");
    // Calling it prehashed does not help.
    assert!(cause(FILE, &LEGACY.join("\n").replace("RWRH", "RURH")).contains("does not fit"));
}

#[test]
fn a_signature_of_a_file_that_was_never_called_a_plugin_is_refused() {
    assert!(cause(FILE, &PLAIN.join("\n")).contains("is not that of a plugin"));
}

#[test]
fn what_is_cut_short_broken_or_huge_is_no_signature() {
    let whole = GOOD.join("\n");
    let end = whole.len();
    for length in (0..end).step_by(7).chain([end - 1]) {
        cause(FILE, &whole[..length]);
    }
    assert!(cause(FILE, "").contains("is no minisign signature"));
    assert!(cause(FILE, "<html>404</html>\n\n\n\n").contains("cut short or changed"));
    assert!(cause(FILE, &whole.replace("RURH", "AAAA")).contains("its algorithm is unknown"));
    assert!(cause(FILE, &whole.replace("trusted comment: ", "tr\u{fc}sted: ")).contains("cut short or changed"));
    assert!(cause(FILE, &format!("{whole}{}", "x".repeat(SIGNATURE_LIMIT))).contains("has more than 20480 bytes"));
    let keys = keys(&[KEY]);
    let refusal = verify(FILE, b"\xff\xfe", &keys).expect_err("refused");
    assert!(refusal.cause.contains("it is no text"), "{refusal}");
}
