//! What a ramdisk is made of, for scanners: a bill of materials as CycloneDX 1.5.

use serde_json::{Value, json};

use crate::debian::Package;

/// A crate that is built into the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Hex SHA-256 of its package; none for a member of the workspace.
    pub checksum: Option<String>,
    /// Licence as an SPDX expression.
    pub license: Option<String>,
}

/// The bill for a ramdisk whose archive has the SHA-256 `archive`. `agent` is the version of the agent.
pub fn bill(agent: &str, archive: &str, packages: &[Package], crates: &[Crate]) -> Value {
    let components: Vec<Value> =
        packages.iter().map(package_component).chain(crates.iter().map(crate_component)).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(archive),
        "version": 1,
        "metadata": {
            "component": {
                "type": "firmware",
                "bom-ref": "ramdisk",
                "name": "ipa-ramdisk",
                "version": agent,
                "hashes": [{"alg": "SHA-256", "content": archive}],
            },
        },
        "components": components,
    })
}

fn package_component(package: &Package) -> Value {
    // An epoch's colon and the signs of other versions are not for a URL as they are.
    let version = package.version.replace('%', "%25").replace(':', "%3A").replace('+', "%2B").replace('~', "%7E");
    let name = package.name.replace('+', "%2B");
    let purl = format!("pkg:deb/debian/{name}@{version}?arch={}&distro=debian-12", package.architecture);
    json!({
        "type": if package.section.ends_with("libs") { "library" } else { "application" },
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "purl": purl,
        "properties": [{"name": "debian:source", "value": package.source}],
    })
}

fn crate_component(of: &Crate) -> Value {
    let purl = format!("pkg:cargo/{}@{}", of.name, of.version);
    let mut component = json!({
        "type": if of.checksum.is_some() { "library" } else { "application" },
        "bom-ref": purl,
        "name": of.name,
        "version": of.version,
        "purl": purl,
    });
    if let Some(checksum) = &of.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(license) = &of.license {
        component["licenses"] = json!([{"expression": license}]);
    }
    component
}

/// A UUID that is the same for the same archive, marked as one of no standard way of making.
fn serial(sha256: &str) -> String {
    let digits: String = sha256.chars().chain(std::iter::repeat('0')).take(32).collect();
    format!("urn:uuid:{}-{}-8{}-8{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_crates_have_their_package_urls() {
        let package = Package {
            name: "libstdc++6".to_owned(),
            version: "1:12.2.0-14+deb12u1".to_owned(),
            architecture: "amd64".to_owned(),
            source: "gcc-12".to_owned(),
            section: "libs".to_owned(),
            sha256: "ab".to_owned(),
        };
        let of = Crate { name: "slog".to_owned(), version: "2.8.2".to_owned(), checksum: None, license: None };
        let bill = bill("1.0", &"0123456789abcdef".repeat(4), &[package], &[of]);
        assert_eq!(
            bill["components"][0]["purl"],
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        assert_eq!(bill["components"][1]["purl"], "pkg:cargo/slog@2.8.2");
        assert_eq!(bill["serialNumber"], "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
    }
}
