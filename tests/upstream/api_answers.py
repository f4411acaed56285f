#!/usr/bin/env python3
"""Records what ironic-python-agent answers on its REST API, as tests/fixtures/api/upstream.json.

Run it with an interpreter that has ironic-python-agent installed (`pip install ironic-python-agent==13.0.0`):

    python tests/upstream/api_answers.py > tests/fixtures/api/upstream.json

The application runs in this process behind its own web server on a loopback port, with two hardware managers that
the test of the host rebuilds (host/src/api/tests/upstream.rs). Each scenario starts with a fresh agent; identifiers
of commands are replaced by <id0>, <id1> in order of appearance.
"""

import http.client
import importlib.metadata
import json
import logging
import re
import socket
import sys
import threading

from cheroot import wsgi
from oslo_config import cfg

from ironic_python_agent import agent as agent_module
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent.api import app
from ironic_python_agent.api import request_log

TOKEN = "0123456789abcdef0123456789abcdef"
HOST = "agent.example:9999"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
BLOCK = threading.Event()


def step(name, priority, **extra):
    return {"step": name, "priority": priority, "interface": "deploy", **extra}


class AcmeManager(hardware.HardwareManager):
    HARDWARE_MANAGER_NAME = "acme"
    HARDWARE_MANAGER_VERSION = "2.1"

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def get_clean_steps(self, node, ports):
        return [step("acme_ok", 40, reboot_requested=False, abortable=True), step("shared", 10)]

    def get_deploy_steps(self, node, ports):
        return [step("acme_ok", 0, argsinfo={"size": {"description": "Size.", "required": False}})]

    def get_service_steps(self, node, ports):
        return []

    def acme_ok(self, node, ports, **kwargs):
        return {"node": node["uuid"], "kwargs": kwargs}

    def acme_text(self, node, ports):
        return "done"

    def acme_null(self, node, ports):
        return None

    def acme_agent_error(self, node, ports):
        raise errors.BlockDeviceEraseError("Block device /dev/sda is frozen and cannot be erased")

    def acme_foreign_error(self, node, ports):
        raise OSError("no such controller")

    def acme_block(self, node, ports):
        BLOCK.wait(30)

    def erase(self, node, ports):
        raise errors.IncompatibleHardwareMethodError()


class GenericHardwareManager(hardware.HardwareManager):
    HARDWARE_MANAGER_NAME = "generic_hardware_manager"
    HARDWARE_MANAGER_VERSION = "1.2"

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.GENERIC

    def get_clean_steps(self, node, ports):
        return [step("erase", 99), step("shared", 90)]

    def get_deploy_steps(self, node, ports):
        return [step("write_image", 0)]

    def get_service_steps(self, node, ports):
        return []

    def wait_for_disks(self):
        return None

    def erase(self, node, ports):
        return ["generic", False]

    def list_hardware_info(self):
        return {"interfaces": [], "disks": [], "hostname": "host-1"}


def install_managers():
    acme, generic = AcmeManager(), GenericHardwareManager()
    hardware._global_managers = [
        {"name": "AcmeManager", "manager": acme, "support": 3},
        {"name": "GenericHardwareManager", "manager": generic, "support": 1},
    ]


def fresh_agent(token=TOKEN):
    hardware.NODE = None
    host = agent_module.Host("127.0.0.1", 0)
    agent = agent_module.IronicPythonAgent(None, host, host, 1, 0, None, 1, 1, True, token)
    agent.started_at = 1764000000.5
    agent.standalone = True
    return agent


def post(body, query=f"agent_token={TOKEN}&wait=true", target="/v1/commands/", **headers):
    if not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    return ("POST", f"{target}?{query}" if query else target, {"Content-Type": "application/json", **headers}, body)


def get(target, method="GET", **headers):
    return (method, target, headers, "")


def command(name, /, **params):
    return post({"name": name, "params": params})


NODE = {"uuid": "5c6b1a3e-1111-2222-3333-444455556666"}  # not a version 4 uuid, so it is left alone
VERSIONS = {"acme": "2.1", "generic_hardware_manager": "1.2"}
T = f"agent_token={TOKEN}"


def execute(kind, name, **extra):
    return command(f"{kind}.execute_{kind}_step", step={"step": name, "interface": "deploy", "odd": [1, None]},
                   node=NODE, ports=[], **extra)


SCENARIOS = {
    "routes": [
        get("/"), get("/v1/"), get("/v1"), get("/v1?a=b&c"), get("/v1/status"), get("/status"),
        get("/v1/status/"), get("/status/"), get("/v1//status"), get("//v1/status"), get("//"), get("/v1//"),
        get("/v1//commands"), get("//status/"), get("/v1//nope"), get("/v1/status//"),
        get("/v1/commands"), get("/v1/commands?x=1"), get("/commands"), get("/v1/commands/x/"), get("/commands/x/"),
        get("/nope"), get("/v2/"), get("/v1/statu"), get("/V1/status"), get("/v1/status/x"),
        get("/%76%31/status"), get("/v1%2Fstatus"), get("/v1/commands/%C3%A9/x"), get("/v1/commands%2F"),
        get("/v1/./status"), get("/v1/../status"), get("/v1/status;a=b"), get("/v1/status?"),
        get("/v1/status?agent_token=wrong"), get("/", Host_="other"), get("/%FF"), get("/v1/%2F/status"),
        ("POST", "/v1/commands", {"Content-Type": "application/json"}, "{}"),
        ("POST", "/v1/commands?wait=true", {"Content-Type": "application/json"}, "{}"),
        ("POST", "/commands", {}, "{}"),
        get("http://elsewhere.example/v1/status"), get("http://elsewhere.example/v1/"),
    ],
    "methods": [
        get("/", "HEAD"), get("/v1/", "HEAD"), get("/v1", "HEAD"), get("/v1/status", "HEAD"), get("/status", "HEAD"),
        get("/v1/commands/", "HEAD"), get(f"/v1/commands/?{T}", "HEAD"), get("/v1/commands/x", "HEAD"),
        get("/v1/status", "OPTIONS"), get("/v1/commands/", "OPTIONS"), get("/", "OPTIONS"), get("/v1/", "OPTIONS"),
        get("/v1/commands/x", "OPTIONS"), get("/nope", "OPTIONS"), get("/v1", "OPTIONS"),
        ("POST", "/", {}, "{}"), ("POST", "/v1/", {}, "{}"), ("POST", "/v1", {}, "{}"), ("POST", "/v1/status", {}, "{}"),
        ("PUT", "/v1/commands/", {}, "{}"), ("DELETE", "/v1/commands/x", {}, ""), ("PATCH", "/commands/", {}, "{}"),
        ("POST", "/v1/commands/x", {}, "{}"), ("PUT", "/v1/commands", {}, "{}"), ("PUT", "/v1//status", {}, "{}"),
        ("BREW", "/v1/status", {}, ""), ("TRACE", "/v1/status", {}, ""),
    ],
    "token": [
        get("/v1/commands/"), get("/v1/commands/?agent_token="), get("/v1/commands/?agent_token=wrong"),
        get(f"/v1/commands/?{T}"), get(f"/commands/?{T}"), get(f"/v1/commands/?{T}&agent_token=wrong"),
        get(f"/v1/commands/?agent_token=wrong&{T}"), get(f"/v1/commands/?AGENT_TOKEN={TOKEN}"),
        get(f"/v1/commands/?agent%5Ftoken=%30{TOKEN[1:]}"), get(f"/v1/commands/?agent_token={TOKEN}+"),
        get(f"/v1/commands/?{T[:-1]}"), get(f"/v1/commands/?{T};wait=true"), get(f"/v1/commands/?a&{T}"),
        get("/v1/commands/", **{"X-Auth-Token": TOKEN, "Authorization": f"Bearer {TOKEN}"}),
        get("/v1/commands/42"), get(f"/v1/commands/42?{T}"), get(f"/v1/commands/%C3%A9%20?{T}"),
        get(f"/v1/commands/42?{T}&wait=true"),
        post("not json", ""), post("not json", "agent_token=wrong"), post("not json", T),
        post({"name": "clean.get_clean_steps", "params": {"node": NODE, "ports": []}}, ""),
    ],
    "no token stored": [
        get("/v1/commands/"), get("/v1/commands/?agent_token="), get(f"/v1/commands/?{T}"), get("/v1/status"),
        post({"name": "poll.get_hardware_info", "params": {}}),
    ],
    "bodies": [
        post(""), post("{"), post("[1, 2"), post("\ufeff{}".encode()), post(b'{"name": "\xff", "params": {}}'),
        post("{}"), post("[]"), post("1"), post("null"), post("true"), post('"text"'), post({"name": "a.b"}),
        post({"params": {}}), post({"name": "a.b", "params": None}), post({"name": "a.b", "params": []}),
        post({"name": "a.b", "params": "x"}), post({"name": 1, "params": {}}), post({"name": None, "params": {}}),
        post({"name": ["a"], "params": {}}), post({"name": "", "params": {}}), post({"name": "nodot", "params": {}}),
        post({"name": ".", "params": {}}), post({"name": "clean.", "params": {}}), post({"name": ".x", "params": {}}),
        post({"name": "clean.a.b", "params": {}}), post({"name": "nope.x", "params": {}}),
        post({"name": "clean.nope", "params": {}}), post({"name": "Clean.get_clean_steps", "params": {}}),
        post({"name": "poll.get_hardware_info", "params": {"command_name": 1}}),
        post({"name": "poll.get_hardware_info", "params": {"self": 1}}),
        post({"name": "nodot", "params": {"command_name": 1}}),
        post({"name": "nope.x", "params": {}, "other": 1}),
        post('{"name": "nope.x", "name": "nope.y", "params": {}}'),
        post({"name": "nope.x", "params": {}}, **{"Content-Type": "text/plain"}),
        post({"name": "nope.x", "params": {}}, target="/commands/"),
        get(f"/v1/commands/?{T}"),
    ],
    "listing steps": [
        command("clean.get_clean_steps", node=NODE, ports=[]),
        command("deploy.get_deploy_steps", node=NODE, ports=[]),
        command("service.get_service_steps", node=NODE, ports=[]),
        get(f"/v1/commands/?{T}"), get(f"/v1/commands/<id1>?{T}"), get(f"/commands/<id0>?{T}&wait=TRUE"),
        get(f"/v1/commands/<id0>/?{T}"),
    ],
    "executing steps": [
        execute("clean", "acme_ok", clean_version=None),
        execute("clean", "acme_ok", clean_version=VERSIONS, more={"a": 1}),
        execute("clean", "acme_text"), execute("clean", "acme_null"), execute("clean", "erase"),
        execute("clean", "acme_agent_error"), execute("clean", "acme_foreign_error"),
        execute("deploy", "acme_foreign_error"), execute("service", "acme_foreign_error"),
        execute("deploy", "acme_ok", deploy_version=VERSIONS), execute("service", "acme_ok", service_version=VERSIONS),
        execute("clean", "acme_ok", clean_version={"acme": "2.0"}),
        execute("deploy", "acme_ok", deploy_version={}),
        execute("clean", "no_such_step"),
        command("clean.execute_clean_step", step={"interface": "deploy"}, node=NODE, ports=[]),
        command("clean.execute_clean_step", step={"step": "acme_ok", "args": {"more": 2, "x": 3}}, node=NODE, ports=[],
                more=1),
        command("clean.execute_clean_step", step={"step": "acme_ok", "args": None}, node=NODE, ports=[]),
        command("clean.execute_clean_step", step={"step": "acme_ok"}),
        command("clean.execute_clean_step"),
        get(f"/v1/commands/?{T}"),
    ],
    "other commands": [
        command("poll.get_hardware_info"),
        command("poll.set_node_info", node_info={"node": NODE, "config": {"heartbeat_timeout": 5}}),
        command("flow.start_flow", flow=[{"poll.get_hardware_info": {}},
                                         {"clean.get_clean_steps": {"node": NODE, "ports": []}}]),
        command("flow.start_flow", flow=[{"nope.x": {}}]),
        command("flow.start_flow", flow=[{"poll.nope": {}}]),
        command("flow.start_flow", flow=[{"nodot": {}}]),
        command("flow.start_flow", flow=[{"clean.execute_clean_step": {
            "step": {"step": "acme_agent_error"}, "node": NODE, "ports": []}}]),
        command("flow.start_flow", flow=[]),
        get(f"/v1/commands/?{T}"),
    ],
    "standalone off": [
        command("poll.set_node_info", node_info={}),
        get(f"/v1/commands/?{T}"),
    ],
    "a foreign error of a synchronous command": [
        command("poll.get_hardware_info", unknown=1),
        get(f"/v1/commands/?{T}"),
    ],
    "a missing argument of a synchronous command": [
        command("clean.get_clean_steps", node=NODE),
        get(f"/v1/commands/?{T}"),
    ],
    "an agent-defined error of a synchronous command": [
        command("rescue.finalize_rescue"),
        get(f"/v1/commands/?{T}"),
    ],
    "busy": [
        post({"name": "clean.execute_clean_step", "params": {"step": {"step": "acme_block"}, "node": NODE,
                                                             "ports": []}}, f"{T}&wait=false"),
        command("poll.get_hardware_info"), command("nope.x"), command("clean.nope"), post({"name": "x", "params": {}}),
        post("{"), get(f"/v1/commands/?{T}"), get(f"/v1/commands/<id0>?{T}&wait=1"), get("/v1/status"),
        "release",
        get(f"/v1/commands/<id0>?{T}&wait=true"), command("poll.get_hardware_info"), get(f"/v1/commands/?{T}"),
    ],
}


def exchange(port, method, target, headers, body):
    payload = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {target} HTTP/1.1", f"Host: {headers.pop('Host_', HOST)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if payload or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(payload)}")
    with socket.create_connection(("127.0.0.1", port), timeout=40) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        text = answer.read().decode()
    kept = {name: answer.headers[name] for name in ("Content-Type", "Location", "Allow", "Server", "Content-Length")
            if answer.headers[name] is not None}
    return answer.status, kept, text


def record(name, requests):
    BLOCK.clear()
    agent = fresh_agent(None if name == "no token stored" else TOKEN)
    if name == "standalone off":
        agent.standalone = False
    if name == "an agent-defined error of a synchronous command":
        def refuse(self, rescue_password="", hashed=False):
            raise errors.CommandExecutionError("the password file cannot be written")
        extension = agent.ext_mgr["rescue"].obj
        from ironic_python_agent.extensions import base
        extension.command_map["finalize_rescue"] = lambda **kw: base.sync_command("finalize_rescue")(refuse)(
            extension, **kw)
    server = wsgi.Server(("127.0.0.1", 0), request_log.RequestLogMiddleware(app.Application(agent, cfg.CONF)),
                         server_name="ironic-python-agent")
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    identifiers, rows = [], []

    def hide(text):
        for found in UUID.findall(text):
            if found not in identifiers:
                identifiers.append(found)
        for index, found in enumerate(identifiers):
            text = text.replace(found, f"<id{index}>")
        return text

    for request in requests:
        if request == "release":
            BLOCK.set()
            rows.append({"action": "release"})
            continue
        method, target, headers, body = request
        sent = re.sub(r"<id(\d+)>", lambda match: identifiers[int(match.group(1))], target)
        status, kept, text = exchange(server.bind_addr[1], method, sent, dict(headers), body)
        row = {"method": method, "target": target, "headers": {k.rstrip("_"): v for k, v in headers.items()}}
        if isinstance(body, bytes):
            row["body_hex"] = body.hex()
        else:
            row["body"] = body
        if UUID.search(text):
            kept.pop("Content-Length", None)
        row["answer"] = {"status": status, "headers": kept, "text": hide(text)}
        rows.append(row)
    server.stop()
    return rows


def main():
    logging.disable(logging.CRITICAL)
    cfg.CONF([], project="ironic-python-agent", default_config_files=[], default_config_dirs=[])
    install_managers()
    json.dump({"upstream": "ironic-python-agent " + importlib.metadata.version("ironic-python-agent"),
               "werkzeug": importlib.metadata.version("werkzeug"),
               "scenarios": {name: record(name, requests) for name, requests in SCENARIOS.items()}},
              sys.stdout, indent=1, ensure_ascii=True)
    print()


if __name__ == "__main__":
    main()
