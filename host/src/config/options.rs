//! Every option: one row gives its names, type, default, help line and the method of [`Config`] that reads it.
//!
//! Names, defaults and kernel words are upstream's; the options of the plugin host come last.

use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::spec::Spec;

macro_rules! options {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $spec:expr;)*) => {
        /// The rows of [`OPTIONS`].
        #[allow(non_camel_case_types)]
        enum Row { $($name),* }

        /// Every option, in the order of the table.
        pub static OPTIONS: &[Spec] = &[$($spec.described(stringify!($name), concat!($($help),+))),*];

        impl Config {
            $($(#[doc = $help])+ pub fn $name(&self) -> $type { self.read(Row::$name as usize) })*
        }

        #[cfg(test)]
        fn every(config: &Config) {
            $(let _: $type = config.$name();)*
        }
    };
}

options! {
    /// URLs of Ironic's API, or mdns
    api_url: Option<String> = Spec::url().kernel("ipa-api-url");
    /// Sent with every request to Ironic: req-UUID
    global_request_id: Option<String> = Spec::text().kernel("ipa-global-request-id");
    /// Address to listen on
    listen_host: String = Spec::text_or("::").kernel("ipa-listen-host");
    /// Port, 0 for any free one
    listen_port: u16 = Spec::port(9999).kernel("ipa-listen-port");
    /// Serves TLS with tls_cert_file and tls_key_file
    listen_tls: bool = Spec::boolean(false);
    /// Certificate of the API, PEM
    tls_cert_file: Option<PathBuf> = Spec::text().formerly("ssl", "cert_file");
    /// Private key of the API, PEM
    tls_key_file: Option<PathBuf> = Spec::text().formerly("ssl", "key_file");
    /// Makes a certificate if Ironic accepts one
    enable_auto_tls: bool = Spec::boolean(true);
    /// Seconds that a made certificate starts in the past
    auto_tls_allowed_clock_skew: Duration = Spec::integer(3600, 0);
    /// Oldest TLS version, serving and calling
    tls_min_version: String = Spec::choice("1.2", &["1.2", "1.3"]).kernel("ipa-tls-min-version");
    /// TLS 1.2 cipher suites between colons
    tls_cipher_suites: Option<String> = Spec::text().kernel("ipa-tls-cipher-suites");
    /// Curve of a made certificate
    tls_certificate_curve: String =
        Spec::choice("p384", &["p256", "p384", "p521"]).kernel("ipa-tls-certificate-curve");
    /// Address to tell Ironic (found out)
    advertise_host: Option<String> = Spec::text().kernel("ipa-advertise-host");
    /// Port to tell Ironic
    advertise_port: u16 = Spec::port(9999).kernel("ipa-advertise-port");
    /// Protocol to tell Ironic
    advertise_protocol: String = Spec::choice("http", &["http", "https"]).kernel("ipa-advertise-protocol");
    /// Tries to find the address to tell Ironic
    ip_lookup_attempts: u32 = Spec::integer(6, 1).kernel("ipa-ip-lookup-attempts");
    /// Seconds between these tries
    ip_lookup_sleep: Duration = Spec::integer(10, 0).kernel("ipa-ip-lookup-timeout");
    /// Interface whose address is told Ironic
    network_interface: Option<String> = Spec::text().kernel("ipa-network-interface");
    /// Seconds to try the first lookup; then the agent ends
    lookup_timeout: Duration = Spec::integer(600, 0).kernel("ipa-lookup-timeout");
    /// Seconds to the second lookup, then doubled
    lookup_interval: Duration = Spec::integer(1, 0).kernel("ipa-lookup-interval");
    /// Seconds to wait for LLDP packets
    lldp_timeout: Duration = Spec::float(30.0).kernel("ipa-lldp-timeout");
    /// Puts LLDP packets into the inventory (old; use the lldp collector)
    collect_lldp: bool = Spec::boolean(false).kernel("ipa-collect-lldp");
    /// Where inspection data go: URLs between commas, or mdns
    inspection_callback_url: Option<String> = Spec::text().kernel("ipa-inspection-callback-url");
    /// Inspection collectors between commas (default,logs)
    inspection_collectors: Option<String> = Spec::text().kernel("ipa-inspection-collectors");
    /// Seconds to wait for DHCP before inspection, 0 for none
    inspection_dhcp_wait_timeout: Duration = Spec::integer(60, 0).kernel("ipa-inspection-dhcp-wait-timeout");
    /// Waits for DHCP on all interfaces
    inspection_dhcp_all_interfaces: bool = Spec::boolean(false).kernel("ipa-inspection-dhcp-all-interfaces");
    /// Seconds to wait for hardware before all else
    hardware_initialization_delay: Duration = Spec::integer(0, 0).kernel("ipa-hardware-initialization-delay");
    /// Looks for a first disk, 0 for none
    disk_wait_attempts: u32 = Spec::integer(10, 0).kernel("ipa-disk-wait-attempts");
    /// Seconds between these looks
    disk_wait_delay: Duration = Spec::integer(3, 0).kernel("ipa-disk-wait-delay");
    /// Accepts any server certificate
    insecure: bool = Spec::boolean(false).kernel("ipa-insecure");
    /// Certificates to trust, PEM (the system's)
    cafile: Option<PathBuf> = Spec::text();
    /// Client certificate, PEM; needs keyfile
    certfile: Option<PathBuf> = Spec::text();
    /// Client key, PEM; needs certfile
    keyfile: Option<PathBuf> = Spec::text();
    /// Goes on inspecting (ironic-collect-introspection-data)
    introspection_daemon: bool = Spec::boolean(false);
    /// Seconds between these inspections
    introspection_daemon_post_interval: Duration = Spec::integer(300, 0);
    /// NTP server that sets the clock
    ntp_server: Option<String> = Spec::text().kernel("ipa-ntp-server");
    /// Fails where the clock cannot be set
    fail_if_clock_not_set: bool = Spec::boolean(false);
    /// Token that API clients must give
    agent_token: Option<String> = Spec::text().kernel("ipa-agent-token").secret();
    /// User at the image server
    image_server_user: Option<String> = Spec::text();
    /// Password at the image server
    image_server_password: Option<String> = Spec::text().secret();
    /// How to log in there: noauth or http_basic
    image_server_auth_strategy: String = Spec::text_or("noauth");
    /// Seconds to connect to the image server
    image_download_connection_timeout: Duration = Spec::integer(60, 1).kernel("ipa-image-download-connection-timeout");
    /// Further tries to download an image
    image_download_connection_retries: u32 = Spec::integer(9, 0).kernel("ipa-image-download-connection-retries");
    /// Seconds between these tries
    image_download_connection_retry_interval: Duration =
        Spec::integer(10, 0).kernel("ipa-image-download-connection-retry-interval");
    /// Seconds for a whole download, 0 for no limit
    image_download_max_duration: Duration = Spec::integer(0, 0).kernel("ipa-image-download-max-duration");
    /// Ironic API version as x.y (found out)
    ironic_api_version: Option<String> = Spec::text().kernel("ipa-ironic-api-version");
    /// Form of lookup and heartbeat; passthru is that of 2015
    ironic_api: String = Spec::choice("v1", &["v1", "passthru", "auto"]).kernel("ipa-ironic-api");
    /// Driver that is asked in the form of 2015
    driver_name: String = Spec::text_or("agent_ipmitool").kernel("ipa-driver-name");
    /// VLANs to bring up: eth0.100, MAC.200, eth1 or all
    enable_vlan_interfaces: String = Spec::text_or("").kernel("ipa-enable-vlan-interfaces");
    /// Goes on if the firmware takes no boot entry
    ignore_bootloader_failure: bool = Spec::boolean(false).kernel("ipa-ignore-bootloader-failure");
    /// Priority of the deploy step inject_files, 0 for none
    inject_files_priority: u32 = Spec::integer(0, 0).at_most(99).kernel("ipa-inject-files-priority");
    /// Does not erase disks with shared file systems
    guard_special_filesystems: bool = Spec::boolean(true).kernel("ipa-guard-special-filesystems");
    /// Erases by discarding where secure erase fails
    enable_discard_erase: bool = Spec::boolean(false).kernel("ipa-enable-discard-erase");
    /// Accepts MD5 checksums
    md5_enabled: bool = Spec::boolean(false);
    /// Seconds to connect, and to wait for an answer
    http_request_timeout: Duration = Spec::integer(30, 1).kernel("ipa-http-request-timeout");
    /// Always makes the config drive anew, as FAT
    config_drive_rebuild: bool = Spec::boolean(false);
    /// Does not look into images before writing them
    disable_deep_image_inspection: bool = Spec::boolean(false);
    /// Image formats that are written
    permitted_image_formats: Vec<String> = Spec::list(&["raw", "gpt", "qcow2"]);
    /// Refuses bootc containers
    disable_bootc_deploy: bool = Spec::boolean(false);
    /// Runs grub-install of partition images
    enable_bios_bootloader_install: bool = Spec::boolean(false);

    /// Size of an EFI system partition in MiB
    efi_system_partition_size: u64 = Spec::integer(550, 1).within("disk_utils", "efi_system_partition_size");
    /// Size of a BIOS boot partition in MiB
    bios_boot_partition_size: u64 = Spec::integer(1, 1).within("disk_utils", "bios_boot_partition_size");
    /// Block size of writing
    dd_block_size: String = Spec::text_or("1M").within("disk_utils", "dd_block_size");
    /// Looks for a new partition, a second apart
    partition_detection_attempts: u32 = Spec::integer(3, 1).within("disk_utils", "partition_detection_attempts");
    /// Tries of partprobe
    partprobe_attempts: u32 = Spec::integer(10, 1).within("disk_utils", "partprobe_attempts");
    /// Memory for converting an image, in MiB
    image_convert_memory_limit: u64 = Spec::integer(2048, 0).within("disk_utils", "image_convert_memory_limit");
    /// Tries to convert an image
    image_convert_attempts: u32 = Spec::integer(3, 1).within("disk_utils", "image_convert_attempts");
    /// Seconds between looks whether a disk is free
    check_device_interval: Duration = Spec::integer(1, 0).within("disk_partitioner", "check_device_interval");
    /// Looks whether a disk is free
    check_device_max_retries: u32 = Spec::integer(20, 0).within("disk_partitioner", "check_device_max_retries");

    /// Where metrics go
    metrics_backend: String =
        Spec::choice("noop", &["noop", "statsd", "collector"]).within("metrics", "backend");
    /// Puts the host name before metric names
    metrics_prepend_host: bool = Spec::boolean(false).within("metrics", "prepend_host");
    /// The node's uuid in all names
    metrics_prepend_uuid: bool = Spec::boolean(false).within("metrics", "prepend_uuid");
    /// With its parts in reverse
    metrics_prepend_host_reverse: bool = Spec::boolean(true).within("metrics", "prepend_host_reverse");
    /// Before all metric names
    metrics_global_prefix: Option<String> = Spec::text().within("metrics", "global_prefix");
    /// Host of statsd
    statsd_host: String = Spec::text_or("localhost").within("metrics_statsd", "statsd_host");
    /// UDP port of statsd
    statsd_port: u16 = Spec::port(8125).within("metrics_statsd", "statsd_port");

    /// Runs any container as a step
    allow_arbitrary_containers: bool = Spec::boolean(false).within("container", "allow_arbitrary_containers");
    /// Containers that may run as a step
    allowed_containers: Vec<String> = Spec::list(&[]).within("container", "allowed_containers");
    /// Steps that are containers, YAML
    container_steps_file: PathBuf =
        Spec::text_or("/etc/ironic-python-agent.d/mysteps.yaml").within("container", "container_steps_file");
    /// What runs containers
    container_runner: String = Spec::choice("podman", &["podman", "docker"]).within("container", "runner");
    /// Its options for pulling
    container_pull_options: Vec<String> = Spec::list(&[]).within("container", "pull_options");
    /// Its options for running
    container_run_options: Vec<String> = Spec::list(&["--rm", "--network=host"]).within("container", "run_options");

    /// Finds Ironic by multicast DNS if no URL is given; anybody can answer
    use_mdns: bool = Spec::boolean(false).kernel("ipa-use-mdns").within("mdns", "use_mdns");
    /// Options that its answers may set; by default no secret and no TLS
    mdns_allowed_overrides: Vec<String> =
        Spec::list(&["inspection_callback_url", "ntp_server"]).within("mdns", "allowed_overrides");
    /// Networks, hosts and .domains in which they may place Ironic
    mdns_allowed_addresses: Vec<String> = Spec::list(&[
        "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10",
    ]).kernel("ipa-mdns-allowed-addresses").within("mdns", "allowed_addresses");
    /// Questions by multicast DNS
    mdns_lookup_attempts: u32 = Spec::integer(3, 1).within("mdns", "lookup_attempts");
    /// Addresses to ask from (all)
    mdns_interfaces: Vec<String> = Spec::list(&[]).within("mdns", "interfaces");

    /// Logs more
    debug: bool = Spec::boolean(false).kernel_first("ipa-debug");
    /// File that gets the log as well
    log_file: Option<PathBuf> = Spec::text();
    /// Directory of log_file
    log_dir: Option<PathBuf> = Spec::text();
    /// Logs one JSON object a line
    use_json: bool = Spec::boolean(false);
    /// Plugin files
    plugin_dir: PathBuf = Spec::text_or("/usr/lib/ipa/plugins").kernel("ipa-plugin-dir");
    /// Plugins to fetch: https URLs between commas, #VERSION pins
    plugin_urls: Vec<String> = Spec::list(&[]).kernel("ipa-plugin-urls");
    /// Loads the plugins on virtual media
    enable_vmedia_plugins: bool = Spec::boolean(true).kernel("ipa-enable-vmedia-plugins");
    /// Where plugins run
    isolation: String = Spec::choice("worker", &["worker", "in-process"]);
    /// Memory limit of a plugin's process
    plugin_memory: u64 = Spec::integer(1024, 1).at_most(1 << 40);
    /// Shows the agent to browsers at /
    enable_status_page: bool = Spec::boolean(true);
    /// Shows numbers to Prometheus at /metrics
    enable_metrics: bool = Spec::boolean(true);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_option_can_be_read_and_is_described_once() {
        let config = Config::default();
        every(&config);
        let names: BTreeSet<_> = OPTIONS.iter().map(Spec::title).collect();
        assert_eq!(names.len(), OPTIONS.len(), "no name twice");
        let words: Vec<_> = OPTIONS.iter().filter_map(|spec| spec.kernel).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "no kernel word twice");
        for spec in OPTIONS {
            assert!((1..=70).contains(&spec.help.len()), "{}: {:?}", spec.title(), spec.help);
        }
    }

    #[test]
    fn defaults_are_upstreams() {
        let config = Config::default();
        assert_eq!(config.api_urls(), Vec::<String>::new());
        assert_eq!((config.listen_host().as_str(), config.listen_port()), ("::", 9999));
        assert_eq!(config.lookup_timeout(), Duration::from_secs(600));
        assert_eq!(config.lldp_timeout(), Duration::from_secs(30));
        assert_eq!(config.permitted_image_formats(), ["raw", "gpt", "qcow2"]);
        assert_eq!(config.tls_min_version(), "1.2");
        assert!(config.enable_auto_tls() && !config.md5_enabled());
    }
}
