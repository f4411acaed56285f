//! Gets plugins and their signatures from their URLs, all at once, while the network comes up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use slog::{Logger, info, warn};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::refusal::Refusal;
use super::super::sealed::Sealed;
use super::super::source::{PluginFile, Source};
use super::super::vet::{self, Place, Vetted};
use super::urls::{self, Wanted};
use super::{Keys, SIGNATURE_LIMIT, no_keys, verify};
use crate::ironic::{Download, Downloader, Endpoint, TlsSource, between_lookups};
use crate::network;
use crate::root::Root;

/// Largest plugin, in bytes.
pub(crate) const PLUGIN_LIMIT: usize = 64 * 1024 * 1024;
/// Longest time for all of it; a lookup that may take less ends it sooner.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

const SERVE: &str = "put the plugin and its .minisig there, or correct ipa-plugin-urls";

/// How plugins are fetched.
pub struct Fetching {
    /// How servers are checked: as Ironic's is.
    pub tls: TlsSource,
    /// Longest time for a connection to come up.
    pub connect: Duration,
    /// Longest time for all. At most three minutes, whatever it says; one try if it is zero.
    pub patience: Duration,
    /// Wait after the first try; it grows from there, as between lookups.
    pub interval: Duration,
    /// Where the machine's files are.
    pub root: Root,
}

impl std::fmt::Debug for Fetching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetching").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// What a try to get a file may end in, beside the file.
enum Miss {
    /// It is worth another try; why there is nothing yet.
    NotYet(String),
    Refused(Refusal),
}

/// Fetches the plugins that the option `plugin_urls` names and checks their signatures. Gives a source for each, in
/// their order: a plugin, or why there is none. Without URLs it costs nothing.
pub async fn fetch(items: &[String], fetching: Fetching, log: &Logger) -> Vec<Source> {
    if items.iter().all(String::is_empty) {
        return Vec::new();
    }
    let fetching = Arc::new(fetching);
    let directory = fetching.root.path(super::KEYS);
    let keys = Arc::new(read_keys(directory.clone()).await);
    for (file, refusal) in &keys.refused {
        warn!(log, "plugin key {file} is not used: {refusal}");
    }
    let downloader = Arc::new(Downloader::new(fetching.tls.clone(), fetching.connect));
    let end = Instant::now() + fetching.patience.min(PATIENCE);
    let each = urls::parse(items).into_iter().map(|item| {
        let job = Job { downloader: downloader.clone(), keys: keys.clone(), fetching: fetching.clone(), end };
        let (directory, log) = (&directory, log);
        async move {
            let wanted = match item {
                Ok(wanted) => wanted,
                Err((shown, refusal)) => return Source::refused(shown.clone(), &shown, refusal),
            };
            if job.keys.keys.is_empty() {
                let refusal = no_keys(directory);
                let cause = format!("it is not fetched: {}", refusal.cause);
                return Source::refused(wanted.shown.clone(), &wanted.shown, Refusal { cause, ..refusal });
            }
            let shown = wanted.shown.clone();
            match job.run(wanted, log).await {
                Ok(plugin) => Source::plugin(plugin),
                Err(refusal) => Source::refused(shown.clone(), &shown, refusal),
            }
        }
    });
    futures_util::future::join_all(each).await
}

async fn read_keys(directory: PathBuf) -> Keys {
    tokio::task::spawn_blocking(move || Keys::read(&directory)).await.unwrap_or_default()
}

/// One plugin on its way.
struct Job {
    downloader: Arc<Downloader>,
    keys: Arc<Keys>,
    fetching: Arc<Fetching>,
    end: Instant,
}

impl Job {
    async fn run(self, wanted: Wanted, log: &Logger) -> Result<Vetted, Refusal> {
        let mut last = "there was no time for a try".to_owned();
        let tried = timeout_at(self.first_try_at_least(), self.until_there(&wanted, &mut last, log)).await;
        let (plugin, signature) = tried.unwrap_or_else(|_| Err(self.too_late(&last)))?;
        let size = plugin.len();
        let (keys, shown) = (self.keys.clone(), wanted.shown.clone());
        let judged = tokio::task::spawn_blocking(move || judge(&plugin, &signature, &keys, &wanted)).await;
        let (vetted, key) = judged.unwrap_or_else(|error| {
            Err(Refusal::new(format!("checking it ended without a result: {error}"), "report this as a bug"))
        })?;
        info!(log, "plugin fetched, its signature is valid"; "url" => shown, "bytes" => size,
            "manager" => &vetted.manifest.name, "version" => &vetted.manifest.version, "key" => key);
        Ok(vetted)
    }

    /// Without patience there is one try, which needs some time nevertheless.
    fn first_try_at_least(&self) -> Instant {
        if self.fetching.patience.is_zero() { Instant::now() + self.fetching.connect } else { self.end }
    }

    /// Both files. The signature is first, for it is small: a large file without one is not waited for.
    async fn until_there(&self, wanted: &Wanted, last: &mut String, log: &Logger) -> Result<(Bytes, Bytes), Refusal> {
        for tries in 1.. {
            match self.both(wanted).await {
                Ok(files) => return Ok(files),
                Err(Miss::Refused(refusal)) => return Err(refusal),
                Err(Miss::NotYet(why)) => *last = why,
            }
            let wait = between_lookups(tries, self.fetching.interval.max(Duration::from_secs(1)));
            if Instant::now() + wait >= self.end {
                break;
            }
            warn!(log, "plugin not fetched yet, trying again"; "url" => &wanted.shown, "why" => &*last,
                "wait_s" => wait.as_secs());
            sleep(wait).await;
        }
        Err(self.too_late(last))
    }

    async fn both(&self, wanted: &Wanted) -> Result<(Bytes, Bytes), Miss> {
        let signature = self.get(&wanted.signature, SIGNATURE_LIMIT).await?;
        let signature = signature.map_err(|status| match status {
            404 | 410 => Refusal::new(
                format!("there is no signature at {}.minisig (HTTP status {status})", wanted.shown),
                "sign the file with `cargo xtask sign-plugin` or minisign, and put the .minisig beside it",
            ),
            status => Refusal::new(format!("its signature is not given away: HTTP status {status}"), SERVE),
        });
        let plugin = self.get(&wanted.plugin, PLUGIN_LIMIT);
        let signature = signature.map_err(Miss::Refused)?;
        let plugin = plugin.await?.map_err(|status| {
            Miss::Refused(Refusal::new(format!("the server does not give it: HTTP status {status}"), SERVE))
        })?;
        Ok((plugin, signature))
    }

    /// A file, or the status that refuses it.
    async fn get(&self, from: &Endpoint, limit: usize) -> Result<Result<Bytes, u16>, Miss> {
        let rest = self.first_try_at_least().saturating_duration_since(Instant::now());
        match self.downloader.get(from, limit, rest).await {
            Download::Complete(bytes) => Ok(Ok(bytes)),
            Download::Refused(status) => Ok(Err(status)),
            Download::NotYet(why) => Err(Miss::NotYet(why)),
            Download::Impossible(why) => {
                Err(Miss::Refused(Refusal::new(format!("it cannot be fetched: {why}"), SERVE)))
            }
        }
    }

    fn too_late(&self, last: &str) -> Refusal {
        let seconds = self.fetching.patience.min(PATIENCE).as_secs();
        let cause = format!("it was not fetched within {seconds} s: {last}");
        if network::has_interface(&self.fetching.root) {
            Refusal::new(cause, "check the network and the server, or correct ipa-plugin-urls")
        } else {
            Refusal::new(cause, "this machine has no network interface: put its driver into the ramdisk")
        }
    }
}

/// From fetched bytes to a plugin that may be loaded, and the file of the key that has signed it.
fn judge(plugin: &[u8], signature: &[u8], keys: &Keys, wanted: &Wanted) -> Result<(Vetted, String), Refusal> {
    let verified = verify(plugin, signature, &keys.keys)?;
    let file = PluginFile::new(wanted.file.clone(), Some(&wanted.shown));
    let sealed = Sealed::of(plugin, &vet::memory_name(&file))
        .map_err(|error| Refusal::new(format!("it cannot be kept in memory: {error}"), "free memory"))?;
    let sealed = Arc::new(sealed);
    let vetted = vet::examine(sealed.clone(), Place::Memory(sealed), file)?;
    verified.claim.covers(&vetted.manifest, &wanted.file)?;
    if let Some(pin) = &wanted.pin {
        pin.check(&vetted.manifest.version)?;
    }
    Ok((vetted, verified.key.file.clone()))
}
