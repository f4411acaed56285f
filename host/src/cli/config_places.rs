//! `--config-file` and `--config-dir`, which count in the order in which they are given.

use std::ffi::OsStr;
use std::path::PathBuf;

use structopt::clap::{App, Arg, ArgMatches};
use structopt::{StructOpt, StructOptInternal};

use crate::config::Place;

const FILE: &str = "config_file";
const DIRECTORY: &str = "config_dir";

/// Where the configuration is read, in the order of the command line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ConfigPlaces(Vec<Place>);

impl ConfigPlaces {
    /// These places completed by those given before the command's name.
    #[must_use]
    pub fn or(mut self, outer: Self) -> Self {
        self.0.splice(0..0, outer.0);
        self
    }

    /// All of them.
    pub fn all(&self) -> &[Place] {
        &self.0
    }
}

impl StructOpt for ConfigPlaces {
    fn clap<'a, 'b>() -> App<'a, 'b> {
        Self::augment_clap(App::new("configuration"))
    }

    fn from_clap(matches: &ArgMatches<'_>) -> Self {
        let given = |name: &'static str, place: fn(PathBuf) -> Place| {
            let values = matches.values_of_os(name).into_iter().flatten().map(OsStr::to_owned);
            matches.indices_of(name).into_iter().flatten().zip(values.map(move |value| place(value.into())))
        };
        let mut all: Vec<_> = given(FILE, Place::File).chain(given(DIRECTORY, Place::Directory)).collect();
        all.sort_by_key(|(index, _)| *index);
        Self(all.into_iter().map(|(_, place)| place).collect())
    }
}

impl StructOptInternal for ConfigPlaces {
    fn augment_clap<'a, 'b>(app: App<'a, 'b>) -> App<'a, 'b> {
        let arg = |name| Arg::with_name(name).takes_value(true).multiple(true).number_of_values(1);
        app.arg(arg(FILE).long("config-file").value_name("FILE").help("Configuration file; later ones win"))
            .arg(arg(DIRECTORY).long("config-dir").value_name("DIR").help("Directory of *.conf files"))
    }
}
