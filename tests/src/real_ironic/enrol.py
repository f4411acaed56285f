"""Enrols nodes in an Ironic's database, and prints the MAC address and the agent token of each, one node a line.

usage: enrol.py DIRECTORY COUNT

DIRECTORY is that of serve.py. Through the API a node and its port take Ironic some fifty milliseconds, so only the
first one is made by Ironic's own objects, and the others are copies of its rows.

The nodes wait to be inspected: Ironic lets agents look them up, checks the token and the certificate of each heartbeat,
and does nothing beyond that. The tokens are made beforehand, as Ironic does for machines that boot from virtual media.
"""

import pathlib
import secrets
import sys

from ironic import objects
from ironic.common import context, service
from ironic.db.sqlalchemy import api, models
from oslo_utils import uuidutils

INTERFACES = {
    "bios_interface": "no-bios",
    "boot_interface": "ipxe",
    "console_interface": "no-console",
    "deploy_interface": "custom-agent",
    "firmware_interface": "no-firmware",
    "inspect_interface": "agent",
    "management_interface": "noop",
    "network_interface": "noop",
    "power_interface": "fake",
    "raid_interface": "agent",
    "rescue_interface": "agent",
    "storage_interface": "noop",
    "vendor_interface": "no-vendor",
}


def address(number):
    return f"52:54:00:2c:{number >> 8:02x}:{number & 255:02x}"


def held_token():
    token = secrets.token_urlsafe()
    return token, {"agent_secret_token": token, "agent_secret_token_pregenerated": True}


def enrol_first(admin):
    """By Ironic's objects, which know what a new row has. Returns the node and its port."""
    node = objects.Node(
        admin, driver="fake-hardware", resource_class="baremetal", provision_state="inspect wait", **INTERFACES
    )
    node.create()
    port = objects.Port(admin, node_id=node.id, address=address(0))
    port.create()
    return node, port


def enrol(admin, count):
    node, port = enrol_first(admin)
    # By the names of the columns, which are not always those of the attributes.
    nodes, ports = models.Node.__table__, models.Port.__table__
    tokens = [held_token() for _ in range(count)]
    with api._session_for_write() as session:
        like_node = dict(session.execute(nodes.select().where(nodes.c.id == node.id)).one()._mapping)
        like_port = dict(session.execute(ports.select().where(ports.c.id == port.id)).one()._mapping)
        del like_port["id"]
        new_nodes, new_ports = [], []
        for number in range(1, count):
            number_uuid, port_uuid = uuidutils.generate_uuid(), uuidutils.generate_uuid()
            new = {"id": node.id + number, "uuid": number_uuid, "driver_internal_info": tokens[number][1]}
            new_nodes.append({**like_node, **new})
            new_ports.append({**like_port, "uuid": port_uuid, "node_id": node.id + number, "address": address(number)})
        first = nodes.update().where(nodes.c.id == node.id)
        session.execute(first.values(driver_internal_info=tokens[0][1]))
        if new_nodes:
            session.execute(nodes.insert(), new_nodes)
            session.execute(ports.insert(), new_ports)
    return [(address(number), token) for number, (token, _) in enumerate(tokens)]


def main():
    home, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    service.prepare_command(["enrol", "--config-file", str(home / "ironic.conf")])
    for mac, token in enrol(context.get_admin_context(), count):
        print(mac, token)


if __name__ == "__main__":
    main()
