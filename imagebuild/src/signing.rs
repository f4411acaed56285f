//! Signs plugin files in the format of the program minisign, for `ipa-plugin-urls`.
//!
//! Keys and signatures are interchangeable with that program's, both ways.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use crate::failure::{Doing, Failure, Outcome};

/// What protects a secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// A password that is asked for at the terminal.
    Asked,
    /// This one.
    Given(String),
    /// Nothing but the rights of its file.
    None,
}

/// The files of a key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The public key, which belongs into the ramdisk as `/etc/ipa/plugin-keys/*.pub`.
    pub public: PathBuf,
    /// The secret key. Only its owner can read it.
    pub secret: PathBuf,
}

/// Makes a new key pair in the files `NAME.pub` and `NAME.key`. Neither may be there.
///
/// # Errors
/// A file is there or cannot be written, or no password was given.
pub fn generate(name: &Path, password: Password) -> Outcome<Pair> {
    let with = |end: &str| PathBuf::from(format!("{}.{end}", name.display()));
    let files = Pair { public: with("pub"), secret: with("key") };
    for path in [&files.public, &files.secret] {
        if path.exists() {
            return Err(Failure::new(format!("{} is there already; name another key", path.display())));
        }
    }
    let pair = match password {
        Password::None => KeyPair::generate_unencrypted_keypair(),
        Password::Given(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        Password::Asked => KeyPair::generate_encrypted_keypair(None),
    };
    let pair = pair.doing("making a key pair")?;
    let secret = pair.sk.to_box(Some("secret key for plugins")).doing("writing the secret key")?;
    let public = pair.pk.to_box().doing("writing the public key")?;
    write_new(&files.secret, 0o600, &secret.into_string())?;
    write_new(&files.public, 0o644, &public.into_string())?;
    Ok(files)
}

/// Signs a file with this trusted comment and writes the signature beside it. Gives the signature's file; an older one
/// is replaced. A password that the key needs is asked for at the terminal unless it is given.
///
/// # Errors
/// A file cannot be read or written, the key is none, or the password is wrong.
pub fn sign(file: &Path, comment: &str, secret: &Path, password: Option<String>) -> Outcome<PathBuf> {
    if comment.is_empty() || comment.chars().any(char::is_control) {
        return Err(Failure::new(format!("{comment:?} is no trusted comment")));
    }
    let key = secret_key(secret, password)?;
    let public = PublicKey::from_secret_key(&key).doing(format_args!("the key {}", secret.display()))?;
    let doing = format!("signing {}", file.display());
    let bytes = BufReader::new(File::open(file).doing(&doing)?);
    let signature =
        minisign::sign(Some(&public), &key, bytes, Some(comment), Some("signature of a plugin")).doing(&doing)?;
    let path = PathBuf::from(format!("{}.minisig", file.display()));
    fs::write(&path, signature.into_string()).doing(format_args!("writing {}", path.display()))?;
    Ok(path)
}

fn secret_key(path: &Path, password: Option<String>) -> Outcome<SecretKey> {
    let doing = format!("the key {}", path.display());
    let text = fs::read_to_string(path).doing(&doing)?;
    let bytes = text.lines().nth(1).and_then(|line| BASE64_STANDARD.decode(line.trim()).ok());
    let bytes = bytes.ok_or_else(|| Failure::new(format!("{doing} is no secret key of minisign")))?;
    let key = SecretKey::from_bytes(&bytes).doing(&doing)?;
    if !key.is_encrypted() {
        // Minisign leaves the checksum of such a key empty, so it is not looked at; each signature is verified.
        return Ok(key);
    }
    SecretKeyBox::from_string(&text).doing(&doing)?.into_secret_key(password).doing(&doing)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Outcome {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).doing(format_args!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::*;

    const COMMENT: &str = "ipa-plugin name=acme version=1.2.0 file=libacme.so";

    /// The real program with these arguments, and with this line on its standard input; what it wrote to standard
    /// output.
    fn tool(arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new("minisign");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("these tests need the program minisign");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("a pipe holds a line");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn plugin(directory: &Path) -> PathBuf {
        let path = directory.join("libacme.so");
        fs::write(&path, "a plugin").expect("written");
        path
    }

    fn show(path: &Path) -> &str {
        path.to_str().expect("UTF-8")
    }

    #[test]
    fn the_real_program_verifies_what_is_signed_here() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = plugin(directory.path());
        let pair = generate(&directory.path().join("signer"), Password::None).expect("made");
        let mode = fs::metadata(&pair.secret).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let signature = sign(&file, COMMENT, &pair.secret, None).expect("signed");
        assert_eq!(signature, directory.path().join("libacme.so.minisig"));
        let said = tool(&["-V", "-H", "-Q", "-m", show(&file), "-p", show(&pair.public)], "").expect("valid");
        assert_eq!(said.trim(), COMMENT);
        fs::write(&file, "another").expect("written");
        tool(&["-V", "-H", "-m", show(&file), "-p", show(&pair.public)], "").expect_err("changed");
    }

    #[test]
    fn keys_go_both_ways_also_with_a_password() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = plugin(directory.path());
        let ours = generate(&directory.path().join("ours"), Password::Given("pass".into())).expect("made");
        let (signature, public) = (directory.path().join("libacme.so.minisig"), show(&ours.public));
        tool(&["-S", "-s", show(&ours.secret), "-m", show(&file), "-t", COMMENT], "pass\n").expect("signed");
        tool(&["-V", "-H", "-m", show(&file), "-p", public], "").expect("valid");
        let wrong = sign(&file, COMMENT, &ours.secret, Some("guess".into())).expect_err("refused").to_string();
        assert!(wrong.contains("ours.key") && wrong.contains("Wrong password"), "{wrong}");
        sign(&file, COMMENT, &ours.secret, Some("pass".into())).expect("signed");

        // With a password the program's own keys take a gibibyte of memory.
        let theirs = [directory.path().join("theirs.pub"), directory.path().join("theirs.key")];
        tool(&["-G", "-W", "-p", show(&theirs[0]), "-s", show(&theirs[1])], "").expect("made");
        fs::remove_file(&signature).expect("there");
        sign(&file, COMMENT, &theirs[1], None).expect("signed");
        tool(&["-V", "-H", "-m", show(&file), "-p", show(&theirs[0])], "").expect("valid");
    }

    #[test]
    fn no_key_is_overwritten_and_bad_input_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = plugin(directory.path());
        let name = directory.path().join("signer");
        let pair = generate(&name, Password::None).expect("made");
        let before = fs::read(&pair.secret).expect("there");
        assert!(generate(&name, Password::None).expect_err("refused").to_string().contains("signer.pub is there"));
        assert_eq!(fs::read(&pair.secret).expect("there"), before);
        let refused = |file: &Path, comment: &str, key: &Path| {
            sign(file, comment, key, Some(String::new())).expect_err("refused").to_string()
        };
        assert!(refused(&file, "two\nlines", &pair.secret).contains("no trusted comment"));
        assert!(refused(&file, COMMENT, &pair.public).contains("signer.pub"));
        assert!(refused(&file, COMMENT, &directory.path().join("none")).contains("none"));
        assert!(refused(&directory.path().join("none.so"), COMMENT, &pair.secret).contains("none.so"));
    }
}
