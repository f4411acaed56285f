//! All that the agent says to Ironic: who am I (lookup), I am here (heartbeat).
//!
//! ```text
//! Ironic (which form is spoken) -> lookup, heartbeat | legacy -> Client (addresses, version, headers)
//!      -> Transport (one bounded request) -> reqwest
//! ```
//!
//! Nothing that is answered ends the agent, makes it call without pause or fills its memory: answers are bounded in
//! time, bytes and elements, never unpacked, and every wait has a random part.

mod answer;
mod cause;
mod client;
mod download;
mod endpoint;
mod fetch;
mod heartbeat;
mod legacy;
mod lookup;
mod node;
mod pacing;
mod transport;
mod version;
mod zone;

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use slog::{Logger, info};

pub(crate) use self::answer::{error_text, json};
pub use self::client::{Client, Settings};
pub(crate) use self::download::{Download, Downloader};
pub use self::endpoint::Endpoint;
pub(crate) use self::fetch::{Page, fetch};
pub use self::heartbeat::{Announcement, Beat, run as keep_beating};
pub use self::lookup::{Attempt, Pace, Subject, token_to_keep, until_found};
pub(crate) use self::node::is_node_ident;
pub use self::node::{Found, TokenAnswer};
pub(crate) use self::pacing::between_lookups;
pub use self::transport::{Answer, TlsSource, Unanswered};
pub use self::version::{ApiVersion, Negotiated};

/// Which form of lookup and heartbeat is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiForm {
    /// That of every Ironic since 2016.
    #[default]
    V1,
    /// That of 2015, vendor passthru.
    Passthru,
    /// The first one, and the other if Ironic answers only to that.
    Auto,
}

impl FromStr for ApiForm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "v1" => Ok(Self::V1),
            "passthru" => Ok(Self::Passthru),
            "auto" => Ok(Self::Auto),
            _ => Err("there are v1, passthru and auto"),
        }
    }
}

/// Ironic, as the agent speaks to it.
#[derive(Debug)]
pub struct Ironic {
    client: Client,
    form: ApiForm,
    driver: String,
    /// Set once Ironic turned out to know only the form of 2015.
    is_old: AtomicBool,
    log: Logger,
}

impl Ironic {
    /// Nothing is sent yet. `driver` is used by the form of 2015.
    pub fn new(settings: Settings, form: ApiForm, driver: &str, log: Logger) -> Self {
        let is_old = AtomicBool::new(form == ApiForm::Passthru);
        Self { client: Client::new(settings, log.clone()), form, driver: driver.to_owned(), is_old, log }
    }

    /// The client of its API.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// True if the form of 2015 is spoken, which knows no tokens.
    fn is_old(&self) -> bool {
        self.is_old.load(Ordering::Relaxed)
    }

    /// True if the inventory may be a part of the question which node this is.
    pub fn asks_with_inventory(&self) -> bool {
        self.form != ApiForm::V1
    }

    /// True if the operator said so, not Ironic.
    pub fn is_old_by_order(&self) -> bool {
        self.form == ApiForm::Passthru
    }

    /// Asks until the node is found. The inventory is part of the question in the form of 2015.
    ///
    /// # Errors
    /// The time is over; a sentence with the last reason.
    pub async fn lookup(
        &self,
        subject: &Subject,
        inventory: &Value,
        pace: Pace,
        token_held: bool,
    ) -> Result<Found, String> {
        info!(self.log, "looking up the node"; "urls" => self.client.shown_urls(), "addresses" => subject.addresses.join(","));
        until_found(pace, token_held, &self.log, || self.attempt(subject, inventory)).await
    }

    async fn attempt(&self, subject: &Subject, inventory: &Value) -> Attempt {
        let legacy = || legacy::attempt(&self.client, &self.driver, subject, inventory, &self.log);
        if self.is_old() {
            return legacy().await;
        }
        let (attempt, status) = lookup::attempt(&self.client, subject, &self.log).await;
        if self.form != ApiForm::Auto || !matches!(status, Some(401 | 404 | 406)) {
            return attempt;
        }
        // A node that is not known yet is a 404 as well, so only success proves that Ironic is old.
        match legacy().await {
            Attempt::Found(found, negotiated) => {
                info!(self.log, "this Ironic knows only the vendor passthru form of lookup and heartbeat");
                self.is_old.store(true, Ordering::Relaxed);
                Attempt::Found(found, negotiated)
            }
            _ => attempt,
        }
    }

    /// Sends one heartbeat.
    pub async fn beat(&self, announcement: &Announcement, token: Option<&str>) -> Beat {
        if self.is_old() {
            legacy::beat(&self.client, announcement).await
        } else {
            heartbeat::beat(&self.client, announcement, token).await
        }
    }
}
