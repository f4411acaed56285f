//! `cargo xtask sign-plugin`: signs plugins that machines fetch at boot, and makes the keys for that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;
use ipa_imagebuild::signing::{self, Pair, Password};
use structopt::StructOpt;

use crate::cargo::cargo;
use crate::repo;

const BUILD: Duration = Duration::from_secs(1800);
const CHECK: Duration = Duration::from_secs(60);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// The plugin file. Without one only a key pair is made.
    #[structopt(parse(from_os_str), required_unless = "generate-key")]
    file: Option<PathBuf>,
    /// Secret key, made by this command or by minisign -G.
    #[structopt(long, value_name = "SECRET", parse(from_os_str), required_unless = "generate-key")]
    key: Option<PathBuf>,
    /// Makes the key pair NAME.pub and NAME.key, and signs with it.
    #[structopt(long, value_name = "NAME", parse(from_os_str), conflicts_with = "key")]
    generate_key: Option<PathBuf>,
    /// Makes a key that no password protects, for machines that sign.
    #[structopt(long, requires = "generate-key")]
    no_password: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let key = match (&options.generate_key, &options.key) {
        (Some(name), _) => generate(name, options.no_password)?,
        (None, Some(key)) => key.clone(),
        (None, None) => return Err(Failure::new("name a key with --key, or make one with --generate-key")),
    };
    match &options.file {
        Some(file) => sign(file, &key),
        None => Ok(()),
    }
}

fn generate(name: &Path, no_password: bool) -> Outcome<PathBuf> {
    let password = if no_password { Password::None } else { Password::Asked };
    let Pair { public, secret } = signing::generate(name, password)?;
    println!("public key: {} (goes into the ramdisk as /etc/ipa/plugin-keys/*.pub)", public.display());
    println!("secret key: {} (keep it safe)", secret.display());
    Ok(secret)
}

fn sign(file: &Path, key: &Path) -> Outcome {
    let comment = comment(file)?;
    let signature = signing::sign(file, &comment, key, None)?;
    println!("signature:  {}", signature.display());
    println!("it says:    {comment}");
    let version = comment.split(' ').find_map(|word| word.strip_prefix("version=")).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("Put both files on a web server. The kernel line for just this version, and for it and later ones:");
    println!("    ipa-plugin-urls=https://HOST/{name}#{version}");
    println!("    ipa-plugin-urls=https://HOST/{name}#>={version}");
    Ok(())
}

/// What a signature must say of the file: the agent itself knows best.
fn comment(file: &Path) -> Outcome<String> {
    // It runs at the top of the repository, where a relative path would mean another file.
    let file = std::path::absolute(file).doing(format_args!("the path {}", file.display()))?;
    process::run(&mut cargo(&["build", "--quiet", "--package", "ipa-host"]), BUILD)?;
    let mut check = Command::new(repo::target("debug/ipa-host"));
    check.args(["plugins", "check", "--comment"]).arg(&file).env_remove("LD_LIBRARY_PATH");
    Ok(process::output(&mut check, CHECK)?.trim().to_owned())
}
