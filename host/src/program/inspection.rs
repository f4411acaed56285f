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
    ByMdns(Wishes),
}

/// What the options and the kernel line say of inspections.
#[derive(Debug)]
pub(super) struct Wishes {
    config: Arc<Config>,
    addresses: AddressWait,
    benchmarks: Option<String>,
}

impl Plan {
    /// What the options ask for; `api` are the addresses of Ironic.
    ///
    /// # Errors
    /// The callback address is none.
    pub(super) fn new(told: &Told, api: &[Endpoint]) -> Result<Self, Failure> {
        let wishes = Wishes::of(told);
        if discovery::is_asked_for(wishes.config.inspection_callback_url().as_deref()) {
            return Ok(Self::ByMdns(wishes));
        }
        wishes.inspection(api).map(Self::Settled)
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
            Self::ByMdns(wishes) => {
                discovery::introspection(&wishes.config, logging).await?;
                wishes.inspection(&[])
            }
        }
    }
}

impl Wishes {
    /// Those of this run.
    pub(super) fn of(told: &Told) -> Self {
        let config = told.config().clone();
        let addresses = AddressWait {
            timeout: config.inspection_dhcp_wait_timeout(),
            every: config.inspection_dhcp_all_interfaces(),
            bootif: told.parameter("BOOTIF"),
        };
        Self { config, addresses, benchmarks: told.parameter("ipa-inspection-benchmarks") }
    }

    /// One whose data are not posted.
    pub(super) fn for_nobody(self) -> Inspection {
        Inspection::for_nobody(self.config.inspection_collectors().as_deref(), self.addresses, self.benchmarks)
    }

    fn inspection(&self, api: &[Endpoint]) -> Result<Option<Inspection>, Failure> {
        let (callback, collectors) = (self.config.inspection_callback_url(), self.config.inspection_collectors());
        let (addresses, benchmarks) = (self.addresses.clone(), self.benchmarks.clone());
        Inspection::from_options(callback.as_deref(), collectors.as_deref(), api, addresses, benchmarks)
            .map_err(Failure::new)
    }
}
