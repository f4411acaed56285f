# Paths on the building machine, see README.rst.
export DIB_IPA_DEB=${DIB_IPA_DEB:-}
export DIB_IPA_HOST=${DIB_IPA_HOST:-}
export DIB_IPA_PLUGINS=${DIB_IPA_PLUGINS:-}
export DIB_IPA_PLUGIN_KEYS=${DIB_IPA_PLUGIN_KEYS:-}
export DIB_IPA_UNITS=${DIB_IPA_UNITS:-}
export DIB_IPA_CERT=${DIB_IPA_CERT:-}

export DIB_IPA_ENABLE_RESCUE=${DIB_IPA_ENABLE_RESCUE:-true}
export DIB_IPA_ENABLE_SYSTEMD_NETWORKD=${DIB_IPA_ENABLE_SYSTEMD_NETWORKD:-true}
export DIB_IPA_DISABLE_JOURNAL_MAX_LOG_SIZE=${DIB_IPA_DISABLE_JOURNAL_MAX_LOG_SIZE:-False}
export DIB_IPA_COMPRESS_CMD=${DIB_IPA_COMPRESS_CMD:-gzip}
export DIB_IPA_MINIMAL_PRUNE=${DIB_IPA_MINIMAL_PRUNE:-0}
export DIB_CHECKSUM=${DIB_CHECKSUM:-0}

# For the builder's own scripts in the image; nothing of the agent is Python.
export DIB_PYTHON_VERSION=${DIB_PYTHON_VERSION:-3}

# Firmware of network cards and controllers is not free software.
export DIB_DEBIAN_COMPONENTS=${DIB_DEBIAN_COMPONENTS:-main,contrib,non-free-firmware}
if [[ "$DIB_DEBIAN_COMPONENTS" == *non-free* ]]; then
    export IPA_DEBIAN_NONFREE=true
else
    export IPA_DEBIAN_NONFREE=false
fi

if [[ "${DISTRO_NAME:-}" =~ (fedora|centos|rhel|rocky|almalinux) ]]; then
    export IPA_DISTRO_FAMILY=rh
else
    export IPA_DISTRO_FAMILY=other
fi
if [[ "${DISTRO_NAME:-}" =~ (centos|rhel|rocky|almalinux) ]]; then
    export DIB_DHCP_NETWORK_MANAGER_AUTO=${DIB_DHCP_NETWORK_MANAGER_AUTO:-true}
fi

# Wireless, graphics, sound, television and phones: nothing that a server deploys with.
_ipa_firmware="amdgpu ath3k ath6k ath9k ath10k ath11k ath12k atmel brcm cirrus cypress dvb intel/dsp intel/ibt iwlwifi"
_ipa_firmware+=" libertas mediatek mellanox/mlxsw_spectrum mrvl mwl8k mwlwifi netronome qcom rsi rtl_bt rtlwifi rtw88"
_ipa_firmware+=" rtw89 s5p-mfc TAS ti-communication ti-connectivity ti-keystone ti/tas2781 ueagle-atm v4l vicam"
export IPA_REMOVE_FIRMWARE=${IPA_REMOVE_FIRMWARE-${_ipa_firmware// /,}}
unset _ipa_firmware
