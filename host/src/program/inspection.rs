//! The inspection that the options ask for; where its data go may have to be found out first.

use std::sync::Arc;

use super::start::Told;
use super::{Failure, discovery};
use crate::config::Config;
use crate::inspect::{AddressWait, Inspection};
use crate::ironic::Endpoint;
use crate::log::Logging;

/// An inspection to come.
#[derive(Debug)]
pub(super) enum Plan {
    /// All is known; None if there is to be no inspection.
    Settled(Option<Inspection>),
    /// Multicast DNS is asked where the data go.
    ByMdns {
        /// What is asked for, and what the answer changes.
        config: Arc<Config>,
        /// The wait for addresses.
        addresses: AddressWait,
    },
}

impl Plan {
    /// What the options ask for; `api` are the addresses of Ironic.
    ///
    /// # Errors
    /// The callback address is none.
    pub(super) fn new(told: &Told, api: &[Endpoint]) -> Result<Self, Failure> {
        let (config, addresses) = (told.config(), addresses(told));
        if discovery::is_asked_for(config.inspection_callback_url().as_deref()) {
            return Ok(Self::ByMdns { config: config.clone(), addresses });
        }
        inspection(config, api, addresses).map(Self::Settled)
    }

    /// True if there is to be one.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::Settled(None))
    }

    /// The inspection, once it is known where its data go.
    ///
    /// # Errors
    /// That was not found.
    pub(super) async fn settle(&self, logging: &Logging) -> Result<Option<Inspection>, Failure> {
        match self {
            Self::Settled(inspection) => Ok(inspection.clone()),
            Self::ByMdns { config, addresses } => {
                discovery::introspection(config, logging).await?;
                inspection(config, &[], addresses.clone())
            }
        }
    }
}

/// How the inspection waits for addresses.
pub(super) fn addresses(told: &Told) -> AddressWait {
    let config = told.config();
    AddressWait {
        timeout: config.inspection_dhcp_wait_timeout(),
        every: config.inspection_dhcp_all_interfaces(),
        bootif: told.parameter("BOOTIF"),
    }
}

fn inspection(config: &Config, api: &[Endpoint], addresses: AddressWait) -> Result<Option<Inspection>, Failure> {
    let (callback, collectors) = (config.inspection_callback_url(), config.inspection_collectors());
    Inspection::from_options(callback.as_deref(), collectors.as_deref(), api, addresses).map_err(Failure::new)
}
