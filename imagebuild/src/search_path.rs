//! Where programs are looked for.

use std::path::Path;

/// Where administrators' programs lie, which a user's path may lack.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The search path of this process with administrators' places, for a tool that starts others.
#[must_use]
pub fn whole() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    places(&path).collect::<Vec<_>>().join(":")
}

/// Whether a place of the path, or of administrators, has the program. An absolute name is looked for as it is.
#[must_use]
pub fn has(path: &str, program: &str) -> bool {
    places(path).any(|place| Path::new(place).join(program).is_file())
}

fn places(path: &str) -> impl Iterator<Item = &str> {
    path.split(':').chain(MORE_PLACES).filter(|place| !place.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_counts_only_where_it_is_looked_for() {
        assert!(has("/nowhere:/bin", "sh"));
        assert!(has("/nowhere", "/bin/sh"));
        assert!(!has("/bin", "no-such-program"));
    }
}
