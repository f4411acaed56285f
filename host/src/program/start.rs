//! What most commands begin with: configuration, log, and the plugins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use slog::{debug, info, warn};

use super::Failure;
use crate::cli::{CommonOptions, config_table};
use crate::config::deadline::{DeadlineOption, Phase};
use crate::config::{Config, Flag, Sources};
use crate::log::{self, Logging};
use crate::plugins::{Deadlines, Isolation, Limits, Options, Registry, Source, Spare};
use crate::process::{Runner, Spawner};
use crate::vmedia::{self, VirtualMedia, VirtualMediaError};

/// The manager that is shipped with the agent.
const GENERIC_MANAGER: &str = "generic_hardware_manager";
/// The file in `log_dir` where `log_file` names none.
const LOG_NAME: &str = "ipa-host.log";

/// What the program was told, from all sources.
#[derive(Debug)]
pub(super) struct Told {
    options: CommonOptions,
    sources: Sources,
    config: Arc<Config>,
    warnings: Vec<String>,
    notes: Vec<String>,
    copied: Vec<Source>,
}

/// What virtual media are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// Nothing.
    Ignored,
    /// Their parameters.
    Read,
    /// Their parameters, and that their configuration and plugins are copied.
    Taken,
}

impl Told {
    /// Reads all sources below `root`; `flags` are those that not every command has.
    pub(super) async fn read(
        root: &Path,
        media: Media,
        runner: &Runner,
        options: CommonOptions,
        flags: &[Flag],
    ) -> Result<Self, Failure> {
        let mut sources = Sources::begin(root)?;
        let mut virtual_media = VirtualMedia::new(root, runner);
        let taken = take_media(&mut virtual_media, &mut sources, media).await;
        if let Err(error) = taken {
            // There is no log yet that could say how it came to this.
            virtual_media.into_notes().iter().for_each(|note| eprintln!("ipa-host: virtual media: {note}"));
            return Err(Failure::new(error.to_string()));
        }
        let told = Self::complete(sources, root, options, flags)?;
        // Whether they are wanted is known only now.
        let wants_plugins = media == Media::Taken && told.config.enable_vmedia_plugins();
        let copied = if wants_plugins && vmedia::is_booted_from(&told.sources.kernel) {
            virtual_media.copy_plugins().await
        } else {
            Vec::new()
        };
        Ok(Self { notes: virtual_media.into_notes(), copied, ..told })
    }

    fn complete(mut sources: Sources, root: &Path, options: CommonOptions, flags: &[Flag]) -> Result<Self, Failure> {
        sources.gather(root, options.places.all(), [options.flags.all(), flags].concat())?;
        let (config, warnings) = sources.resolve()?;
        Ok(Self { options, sources, config: Arc::new(config), warnings, notes: Vec::new(), copied: Vec::new() })
    }

    /// The options of the configuration.
    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// A parameter of the kernel line or of virtual media that is no option.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.sources.parameters().remove(name)
    }

    /// What is wrong but stops nothing.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The log, as verbose as was asked for. What happened before is its first lines.
    pub(super) fn logging(&self) -> Logging {
        let file = match (self.config.log_dir(), self.config.log_file()) {
            (directory, Some(file)) => Some(directory.unwrap_or_default().join(file)),
            (directory, None) => directory.map(|directory| directory.join(LOG_NAME)),
        };
        let logging = Logging::start(log::Options { debug: self.config.debug(), json: self.config.use_json(), file });
        for note in &self.notes {
            info!(logging.log(), "virtual media: {note}");
        }
        for warning in &self.warnings {
            warn!(logging.log(), "configuration: {warning}");
        }
        for [name, value, source] in config_table::set(&self.config.settings()) {
            debug!(logging.log(), "option {name}"; "value" => value, "source" => source);
        }
        logging
    }

    /// Where plugins are: the plugin directory, and what was copied from virtual media. The copies are given once.
    pub(super) fn take_plugin_sources(&mut self) -> Vec<Source> {
        let mut sources = vec![Source::plugin_directory(self.config.plugin_dir())];
        sources.append(&mut self.copied);
        sources
    }

    /// Settings of the plugin side.
    pub(super) fn plugins(&self, read_only: bool) -> Options {
        let isolation = self.config.isolation();
        Options {
            isolation: if isolation == "in-process" { Isolation::InProcess } else { Isolation::Worker },
            read_only,
            deadlines: deadlines(&self.options.deadline),
            limits: Limits { address_space: self.config.plugin_memory().saturating_mul(1 << 20), ..Limits::default() },
            kernel_params: self.sources.parameters(),
            sections: self.sections(),
            disk_wait_attempts: self.config.disk_wait_attempts(),
            disk_wait_delay: self.config.disk_wait_delay(),
            guard_special_filesystems: self.config.guard_special_filesystems(),
            ..Options::default()
        }
    }

    /// The sections of the plugins. Options of the generic manager that are general ones in the Python agent go to its
    /// section, where they can be overridden.
    fn sections(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut sections = self.sources.files.plugin_sections();
        let generic = sections.entry(GENERIC_MANAGER.to_owned()).or_default();
        for (key, value) in [
            ("tls_certificate_curve", self.config.tls_certificate_curve()),
            ("auto_tls_allowed_clock_skew", self.config.auto_tls_allowed_clock_skew().as_secs().to_string()),
        ] {
            generic.entry(key).or_insert_with(|| Value::from(value));
        }
        sections
    }
}

/// Virtual media come first: they hold parameters, and files that are read later. Only a machine that was booted from
/// them has any.
async fn take_media(
    media: &mut VirtualMedia<'_>,
    sources: &mut Sources,
    wanted: Media,
) -> Result<(), VirtualMediaError> {
    let read = match wanted {
        Media::Ignored => return Ok(()),
        _ if !vmedia::is_booted_from(&sources.kernel) => Ok(()),
        Media::Read => media.parameters().await.map(|parameters| sources.media = parameters),
        Media::Taken => take_all(media, sources).await,
    };
    if wanted == Media::Taken {
        // Whatever came of it: a medium that stays mounted cannot be ejected, and locks its device.
        media.release().await;
    }
    read
}

async fn take_all(media: &mut VirtualMedia<'_>, sources: &mut Sources) -> Result<(), VirtualMediaError> {
    sources.media = media.parameters().await?;
    media.copy_configuration().await
}

/// The thread that starts every process.
pub(super) fn runner() -> Result<Runner, Failure> {
    let spawner = Spawner::start().map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    Ok(Runner::new(spawner))
}

/// What takes its time to start and needs to know nothing: the thread that starts processes, and a worker.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) runner: Runner,
    pub(super) spare: Option<Spare>,
}

impl Ahead {
    /// Starts both, and waits for neither.
    pub(super) fn start() -> Result<Self, Failure> {
        let runner = runner()?;
        let spare = Spare::of_this_program(runner.spawner());
        Ok(Self { runner, spare })
    }
}

/// Loads the plugins to look at them; nothing of the machine is changed.
pub(super) async fn look(options: CommonOptions) -> Result<Registry, Failure> {
    let Ahead { runner, spare } = Ahead::start()?;
    let mut told = Told::read(Path::new("/"), Media::Ignored, &runner, options, &[]).await?;
    // What goes wrong is part of what these commands print.
    let log = if told.config().debug() {
        told.logging().log().clone()
    } else {
        slog::Logger::root(slog::Discard, slog::o!())
    };
    let sources = told.take_plugin_sources();
    Ok(Registry::start(told.plugins(true), sources, runner, spare, log).await)
}

fn deadlines(given: &[DeadlineOption]) -> Deadlines {
    let mut deadlines = Deadlines::default();
    for &DeadlineOption { phase, time } in given {
        match phase {
            Phase::Load => deadlines.load = time,
            Phase::Evaluate => deadlines.evaluate = time,
            Phase::Initialize => deadlines.initialize = time,
            Phase::Call => deadlines.call = time,
            Phase::List => deadlines.step_list = time,
            Phase::Step => deadlines.step = time,
            Phase::Grace => (deadlines.grace, deadlines.cancel_grace, deadlines.unload) = (time, time, time),
        }
    }
    deadlines
}

#[cfg(test)]
mod tests {
    use structopt::StructOpt;

    use super::*;
    use crate::cli::Cli;
    use crate::config::Origin;

    /// What `ipa-host` would be told on a machine in a directory that has a CD mounted.
    async fn told(root: &Path, media: Media, arguments: &[&str]) -> Result<Told, Failure> {
        let runner = Runner::with_shim(Spawner::start().expect("a thread"), Vec::new());
        let cli = Cli::from_iter_safe([&["ipa-host"], arguments].concat()).expect("valid");
        Told::read(root, media, &runner, cli.run.common, cli.run.flags.all()).await
    }

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        let cd = [
            ("proc/cmdline", "boot_method=vmedia ipa-agent-token=token ipa-listen-port=1"),
            ("proc/self/mountinfo", "41 27 11:0 / /media/cd ro - iso9660 /dev/sr0 ro\n"),
            ("sys/class/block/sr0/dev", "11:0\n"),
            ("sys/class/block/sr0/device/type", "5\n"),
            ("sys/class/block/sr0/device/model", "BMC Virtual Media\n"),
            ("run/udev/data/b11:0", "E:ID_FS_LABEL=config-2\n"),
        ];
        for (path, text) in cd.iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        root
    }

    #[tokio::test]
    async fn the_configuration_on_virtual_media_is_read_by_the_same_start() {
        let root = machine(&[
            (
                "media/cd/etc/ironic-python-agent.d/ironic-tls.conf",
                "[DEFAULT]\ncafile = /etc/ironic-python-agent/x.crt\n",
            ),
            ("media/cd/parameters.txt", "ipa-listen-port=2"),
        ]);
        let directory = root.path().join("etc/ironic-python-agent.d");
        let arguments = ["--config-dir", directory.to_str().expect("UTF-8")];
        let told = told(root.path(), Media::Taken, &arguments).await.expect("valid");
        assert_eq!(told.config().cafile(), Some("/etc/ironic-python-agent/x.crt".into()));
        assert_eq!(told.config().origin("cafile"), Origin::File { path: directory.join("ironic-tls.conf"), line: 2 });
        assert_eq!(told.config().listen_port(), 2);
        assert_eq!(told.config().agent_token().as_deref(), Some("token"));
        assert_eq!(told.plugins(true).kernel_params["ipa-listen-port"], "2", "plugins see the same");
        assert!(told.notes.iter().any(|note| note.contains("copied 1 files")), "{:?}", told.notes);
    }

    #[tokio::test]
    async fn what_happened_before_the_log_is_its_beginning() {
        let root = machine(&[("media/cd/etc/ironic-python-agent.d/a.conf", "")]);
        let told = told(root.path(), Media::Taken, &[]).await.expect("valid");
        let log = told.logging().ring().text();
        let line = log.lines().find(|line| line.contains("virtual media: ") && line.contains("copied 1 files"));
        assert!(line.is_some_and(|line| line.contains(" INFO ")), "{log}");
    }

    #[tokio::test]
    async fn plugins_on_virtual_media_are_a_source_unless_an_option_says_no() {
        let root = machine(&[("media/cd/usr/lib/ipa/plugins/libacme.so", "acme")]);
        let mut wanted = told(root.path(), Media::Taken, &[]).await.expect("valid");
        let sources = format!("{:?}", wanted.take_plugin_sources());
        assert!(sources.contains("/usr/lib/ipa/plugins") && sources.contains("virtual media sr0"), "{sources}");
        assert!(wanted.notes.iter().any(|note| note.contains("copied 1 plugins")), "{:?}", wanted.notes);
        assert_eq!(wanted.take_plugin_sources().len(), 1, "the copies are given once");

        let root = machine(&[
            ("media/cd/usr/lib/ipa/plugins/libacme.so", "acme"),
            ("media/cd/parameters.txt", "ipa-enable-vmedia-plugins=0"),
        ]);
        let mut unwanted = told(root.path(), Media::Taken, &[]).await.expect("valid");
        assert_eq!(unwanted.take_plugin_sources().len(), 1);
        std::fs::remove_file(root.path().join("media/cd/parameters.txt")).expect("there");
        let mut looked = told(root.path(), Media::Read, &[]).await.expect("valid");
        assert_eq!(looked.take_plugin_sources().len(), 1, "who only looks takes nothing");
        assert!(!root.path().join("run/ipa").exists(), "nothing is copied");
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_copied_ends_the_start() {
        let root =
            machine(&[("media/cd/etc/ironic-python-agent.d/a.conf", ""), ("etc/ironic-python-agent.d", "a file")]);
        let error = told(root.path(), Media::Taken, &[]).await.expect_err("a file is in the way").to_string();
        assert!(error.contains("dev/sr0") && error.contains("cannot be copied"), "{error}");
        told(root.path(), Media::Ignored, &[]).await.expect("nothing is looked for");
    }
}
