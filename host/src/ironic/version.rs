//! Which version of its API Ironic is spoken to in.

use std::fmt;

use serde_json::Value;

/// A microversion of Ironic's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u32, pub u32);

impl ApiVersion {
    /// Assumed where Ironic does not tell.
    pub const FALLBACK: Self = Self(1, 31);
    /// From here on a heartbeat tells the agent's version.
    pub const AGENT_VERSION: Self = Self(1, 36);
    /// From here on there are agent tokens. Also the newest version that a lookup asks for.
    pub const AGENT_TOKEN: Self = Self(1, 62);
    /// From here on a heartbeat may carry a certificate. Also the newest version that a heartbeat asks for.
    pub const AGENT_VERIFY_CA: Self = Self(1, 68);

    /// Reads `1.68`. What follows a second dot does not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// The newest version, from the root document of the API.
    pub(super) fn of_root(root: &Value) -> Option<Self> {
        Self::parse(root.get("default_version")?.get("version")?.as_str()?)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What is known of Ironic's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The version to work with.
    pub version: ApiVersion,
    /// True if Ironic did not tell it, so that it may support more.
    pub assumed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_compare_by_number_and_print_as_they_came() {
        let version = ApiVersion::parse("1.102").expect("a version");
        assert!(version > ApiVersion::AGENT_VERIFY_CA);
        assert_eq!(version.to_string(), "1.102");
        assert_eq!(ApiVersion::parse(" 1.9.3 "), Some(ApiVersion(1, 9)));
        assert!(
            ["", "1", "1.x", "latest", "1.-2", "1.99999999999"].iter().all(|text| ApiVersion::parse(text).is_none())
        );
    }

    #[test]
    fn the_root_document_names_the_newest() {
        let root = json!({"default_version": {"id": "v1", "version": "1.102", "min_version": "1.1"}});
        assert_eq!(ApiVersion::of_root(&root), Some(ApiVersion(1, 102)));
        for odd in
            [json!({}), json!([]), json!({"default_version": "1.1"}), json!({"default_version": {"version": 1.1}})]
        {
            assert_eq!(ApiVersion::of_root(&odd), None);
        }
    }
}
