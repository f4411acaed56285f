//! The certificate that the agent makes for itself and tells Ironic with its heartbeats.

use std::net::IpAddr;
use std::path::Path;

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::inventory::TlsCertificate;
use serde::Deserialize;
use serde_json::json;

use super::{Protocol, TlsServer, pem};
use crate::managers::{CallContext, Managers};

/// The first version of Ironic's API that takes a certificate.
pub const FIRST_API_VERSION: (u32, u32) = (1, 68);
const METHOD: &str = "generate_tls_certificate";

/// The API's TLS with a certificate of its own.
#[derive(Debug)]
pub struct AutoTls {
    /// Serves with it.
    pub server: TlsServer,
    /// The certificate in PEM, the `agent_verify_ca` of heartbeats. The advertised protocol is https with it.
    pub certificate: String,
}

/// True if the agent makes a certificate: the operator has not chosen otherwise and Ironic can take it.
///
/// # Errors
/// It does not; the text says why, for the log.
pub fn is_wanted(listen_tls: bool, enable_auto_tls: bool, api_version: Option<(u32, u32)>) -> Result<(), &'static str> {
    if listen_tls {
        return Err("listen_tls is set, so only a given certificate is used");
    }
    if !enable_auto_tls {
        return Err("enable_auto_tls is off");
    }
    match api_version {
        None => Err("no Ironic API URL is known"),
        Some(version) if version < FIRST_API_VERSION => Err("this Ironic takes no certificate"),
        Some(_) => Ok(()),
    }
}

/// Has the managers make a certificate for the advertised address and loads it.
///
/// # Errors
/// No manager makes one, or what it made cannot be used.
pub async fn make(managers: &dyn Managers, address: IpAddr, protocol: &Protocol) -> HwResult<AutoTls> {
    let answer = managers.dispatch(&CallContext::new(), METHOD, json!({"ip_address": address.to_string()})).await?;
    let TlsCertificate { text, path, private_key_path } = TlsCertificate::deserialize(answer)
        .map_err(|error| HwError::command_execution(format!("{METHOD} answered no certificate: {error}")))?;
    let (path, key) = (Path::new(&path), Path::new(&private_key_path));
    let unusable = |error: &dyn std::fmt::Display| {
        HwError::command_execution(format!("the certificate of {METHOD} cannot be used: {error}"))
    };
    let server = TlsServer::from_files(path, key, protocol).map_err(|error| unusable(&error))?;
    // Ironic would refuse every connection, and nobody would see why.
    let served = pem::certificates(path).map_err(|error| unusable(&error))?;
    if pem::certificate_in(&text).as_ref() != served.first() {
        return Err(unusable(&format!("its text is not what {} holds", path.display())));
    }
    Ok(AutoTls { server, certificate: text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_conditions() {
        assert_eq!(is_wanted(false, true, Some((1, 68))), Ok(()));
        assert_eq!(is_wanted(false, true, Some((2, 0))), Ok(()));
        for (listen_tls, enabled, version, why) in [
            (true, true, Some((1, 100)), "listen_tls"),
            (false, false, Some((1, 100)), "enable_auto_tls"),
            (false, true, None, "no Ironic API URL"),
            (false, true, Some((1, 67)), "takes no certificate"),
        ] {
            let refusal = is_wanted(listen_tls, enabled, version).unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
    }
}
