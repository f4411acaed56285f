//! What most commands begin with: configuration, log, and the plugins.

use std::path::Path;
use std::sync::Arc;

use slog::{debug, info, warn};

use super::Failure;
use crate::cli::{CommonOptions, config_table};
use crate::config::deadline::{DeadlineOption, Phase};
use crate::config::{Config, Flag, Sources};
use crate::log::Logging;
use crate::plugins::{Deadlines, Isolation, Limits, Options, Registry};
use crate::process::{Runner, Spawner};
use crate::vmedia::{self, VirtualMedia, VirtualMediaError};

/// What the program was told, from all sources.
#[derive(Debug)]
pub(super) struct Told {
    options: CommonOptions,
    sources: Sources,
    config: Arc<Config>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// What virtual media are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// Nothing.
    Ignored,
    /// Their parameters.
    Read,
    /// Their parameters, and that their configuration is copied to `/etc`.
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
        let notes = virtual_media.into_notes();
        if taken.is_err() {
            // There is no log yet that could say how it came to this.
            notes.iter().for_each(|note| eprintln!("ipa-host: virtual media: {note}"));
        }
        taken.map_err(|error| Failure::new(error.to_string()))?;
        Self::complete(sources, root, options, flags).map(|told| Self { notes, ..told })
    }

    fn complete(mut sources: Sources, root: &Path, options: CommonOptions, flags: &[Flag]) -> Result<Self, Failure> {
        sources.gather(root, options.places.all(), [options.flags.all(), flags].concat())?;
        let (config, warnings) = sources.resolve()?;
        Ok(Self { options, sources, config: Arc::new(config), warnings, notes: Vec::new() })
    }

    /// The options of the configuration.
    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// What is wrong but stops nothing.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The log, as verbose as was asked for. What happened before is its first lines.
    pub(super) fn logging(&self) -> Logging {
        let logging = Logging::to_stderr(self.config.debug());
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

    /// Settings of the plugin side.
    pub(super) fn plugins(&self, read_only: bool) -> Options {
        let isolation = self.config.isolation();
        Options {
            isolation: if isolation == "in-process" { Isolation::InProcess } else { Isolation::Worker },
            read_only,
            deadlines: deadlines(&self.options.deadline),
            limits: Limits { address_space: self.config.plugin_memory().saturating_mul(1 << 20), ..Limits::default() },
            kernel_params: self.sources.parameters(),
            sections: self.sources.files.plugin_sections(),
            disk_wait_attempts: self.config.disk_wait_attempts(),
            disk_wait_delay: self.config.disk_wait_delay(),
            guard_special_filesystems: self.config.guard_special_filesystems(),
            ..Options::new(self.config.plugin_dir())
        }
    }
}

/// Virtual media come first: they hold parameters, and files that are read later. Only a machine that was booted from
/// them has any.
async fn take_media(
    media: &mut VirtualMedia<'_>,
    sources: &mut Sources,
    wanted: Media,
) -> Result<(), VirtualMediaError> {
    if wanted != Media::Ignored && vmedia::is_booted_from(&sources.kernel) {
        sources.media = media.parameters().await?;
        if wanted == Media::Taken {
            media.copy_configuration().await?;
        }
    }
    if wanted == Media::Taken {
        media.release().await;
    }
    Ok(())
}

/// The thread that starts every process.
pub(super) fn runner() -> Result<Runner, Failure> {
    let spawner = Spawner::start().map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    Ok(Runner::new(spawner))
}

/// Loads the plugins to look at them; nothing of the machine is changed.
pub(super) async fn look(options: CommonOptions) -> Result<Registry, Failure> {
    let runner = runner()?;
    let told = Told::read(Path::new("/"), Media::Ignored, &runner, options, &[]).await?;
    // What goes wrong is part of what these commands print.
    let log = if told.config().debug() {
        told.logging().log().clone()
    } else {
        slog::Logger::root(slog::Discard, slog::o!())
    };
    Ok(Registry::start(told.plugins(true), runner, log).await)
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
