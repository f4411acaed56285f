//! Ironic's configuration file.

use std::path::Path;

/// What tests want different of an Ironic of their own.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// What agents hear in the lookup, in seconds: they beat within 0.3 to 0.6 of it, but never twice within five seconds
    /// after a failure.
    pub heartbeat_timeout_s: u32,
    /// Debug records in its log, which take it a good part of its time.
    pub debug: bool,
}

impl Default for Setup {
    /// For few agents, which are to be heard of soon.
    fn default() -> Self {
        Self { heartbeat_timeout_s: 9, debug: true }
    }
}

/// The configuration of a standalone Ironic whose API listens on a port of the loopback interface; what it publishes is
/// served on the port `media`.
///
/// What keeps a ramdisk out stays as it comes: tokens, TLS 1.3 on both sides, lookups only in waiting states. Power is
/// pretended, or that of a guest whose BMC the test plays, so that no machine is touched; the interfaces that speak to
/// the agent, write its kernel line or make its media are real.
pub(super) fn ironic_conf(home: &Path, port: u16, media: u16, setup: Setup) -> String {
    let home = home.display();
    let host = ipa_vm::HOST;
    let Setup { heartbeat_timeout_s, debug } = setup;
    format!(
        "\
[DEFAULT]
rpc_transport = none
auth_strategy = noauth
host = tests
my_ip = 127.0.0.1
debug = {debug}
log_file = {home}/ironic.log
tempdir = {home}
state_path = {home}
enabled_hardware_types = fake-hardware,redfish
enabled_bios_interfaces = no-bios
enabled_boot_interfaces = ipxe,redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct,custom-agent
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = agent
# The pretended one knows no disk to boot from.
enabled_management_interfaces = fake,noop,redfish
enabled_network_interfaces = noop
enabled_power_interfaces = fake,redfish
enabled_raid_interfaces = agent
enabled_rescue_interfaces = agent
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor
[database]
connection = sqlite:///{home}/ironic.sqlite
[api]
host_ip = 127.0.0.1
port = {port}
api_workers = 1
enable_ssl_api = true
cert_file = {home}/api.pem
key_file = {home}/api.key
ramdisk_heartbeat_timeout = {heartbeat_timeout_s}
[conductor]
file_url_allowed_paths = {home}/ramdisk
# Nothing is to happen by itself between two steps of a test.
sync_power_state_interval = 0
[agent]
# On virtual media comes whom the agent is to trust.
api_ca_file = {home}/ca.pem
certificates_path = {home}/certificates
deploy_logs_local_path = {home}/logs
command_wait_interval = 1
# A pretended machine does not go off by itself.
post_deploy_get_power_state_retries = 1
post_deploy_get_power_state_retry_interval = 1
[service_catalog]
auth_type = none
endpoint_override = https://127.0.0.1:{port}
[inspector]
add_ports = all
[inventory]
data_backend = database
[dhcp]
dhcp_provider = none
[pxe]
images_path = {home}/images
instance_master_path = {home}/images/master
tftp_master_path = {home}/tftp/master
tftp_root = {home}/tftp
[deploy]
# BMCs read media there. Kernels and iPXE scripts nobody does: tests start the agent with the kernel line in a script.
http_root = {home}/http
http_url = http://127.0.0.1:{media}
# On virtual media, which only guests boot from: they see the loopback interface as another host.
external_callback_url = https://{host}:{port}
default_boot_mode = uefi
# Automated cleaning erases nothing, whatever managers offer.
erase_devices_priority = 0
erase_devices_metadata_priority = 0
[oslo_concurrency]
lock_path = {home}/locks
"
    )
}
