//! From sources to the plugins that are loaded: each file is checked, and of several with one name one stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::refusal::Refusal;
use super::source::{Kind, PluginFile, Source};
use super::status::LeftOut;
use super::vet::{self, Vetted};
use super::{rank, scan, text, trust};

/// A file of an open directory that is still to be checked.
struct Candidate<'a> {
    directory: &'a trust::Directory,
    path: PathBuf,
    name: OsString,
    origin: Option<&'a str>,
}

/// An open directory, and the plugin files in it.
struct Listed {
    directory: trust::Directory,
    path: PathBuf,
    origin: Option<String>,
    names: Vec<OsString>,
}

/// What a source gave so far.
enum Item {
    Listed(Listed),
    Plugin(Box<Vetted>),
    Refused(Box<LeftOut>),
}

/// Checks all plugins of the sources, two at a time. Gives those that may be loaded and those that may not.
pub(crate) fn gather(sources: Vec<Source>) -> (Vec<Vetted>, Vec<LeftOut>) {
    let items: Vec<Item> = sources.into_iter().map(list).collect();
    let candidates: Vec<Candidate<'_>> = items
        .iter()
        .filter_map(|item| if let Item::Listed(listed) = item { Some(listed) } else { None })
        .flat_map(|Listed { directory, path, origin, names }| {
            let candidate = |name: &OsString| Candidate {
                directory,
                path: path.join(name),
                name: name.clone(),
                origin: origin.as_deref(),
            };
            names.iter().map(candidate)
        })
        .collect();
    let mut checked = check_all(&candidates).into_iter();
    drop(candidates);

    let (mut vetted, mut left_out) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Plugin(plugin) => vetted.push(*plugin),
            Item::Refused(left) => left_out.push(*left),
            Item::Listed(listed) => {
                for result in checked.by_ref().take(listed.names.len()) {
                    match result {
                        Ok(plugin) => vetted.push(plugin),
                        Err(left) => left_out.push(*left),
                    }
                }
            }
        }
    }
    let (vetted, duplicates) = without_duplicates(vetted);
    left_out.extend(duplicates);
    (vetted, left_out)
}

fn list(source: Source) -> Item {
    match source.0 {
        Kind::Plugin(plugin) => Item::Plugin(plugin),
        Kind::Refused(left) => Item::Refused(left),
        Kind::Directory { path, origin } => match open(&path) {
            Ok((directory, names)) => Item::Listed(Listed { directory, path, origin, names }),
            Err(refusal) => {
                let file = PluginFile::new(text::printable(path.as_os_str()), origin.as_deref());
                Item::Refused(Box::new(LeftOut::refused(file, refusal)))
            }
        },
    }
}

fn open(path: &Path) -> Result<(trust::Directory, Vec<OsString>), Refusal> {
    let directory = trust::open_directory(path)?;
    let names = scan::scan(path).map_err(|error| {
        let cause = format!("the plugin directory cannot be read: {error}");
        Refusal::new(cause, "name another with --plugin-dir")
    })?;
    Ok((directory, names))
}

/// Checks all candidates and gives the results in their order.
fn check_all(candidates: &[Candidate<'_>]) -> Vec<Result<Vetted, Box<LeftOut>>> {
    let queue = Mutex::new(candidates.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, Candidate { directory, path, name, origin })) = next else { return };
            let file = PluginFile::new(text::printable(name), *origin);
            let result = vet::vet(directory, path.clone(), name, file.clone())
                .map_err(|refusal| Box::new(LeftOut::refused(file, refusal)));
            results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        if candidates.len() > 1 {
            // Without a second thread the first does it all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

fn without_duplicates(vetted: Vec<Vetted>) -> (Vec<Vetted>, Vec<LeftOut>) {
    let verdicts = rank::duplicates(&vetted.iter().map(|plugin| &plugin.manifest).collect::<Vec<_>>());
    let winners: Vec<String> =
        vetted.iter().map(|plugin| format!("{} (version {})", plugin.file, plugin.manifest.version)).collect();
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for (plugin, verdict) in vetted.into_iter().zip(verdicts) {
        match verdict {
            None => kept.push(plugin),
            Some(winner) => {
                let cause = format!(
                    "its name {} or class name {} is taken by {}",
                    plugin.manifest.name, plugin.manifest.class_name, winners[winner]
                );
                left_out.push(LeftOut::of(&plugin, Refusal::new(cause, "remove one of the two")));
            }
        }
    }
    (kept, left_out)
}
