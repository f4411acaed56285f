"""Runs an unmodified Ironic, conductor and API in one process, until standard input ends.

usage: serve.py DIRECTORY PORT

DIRECTORY has ironic.conf. A certificate authority, the API's certificate and the database are made in it first, and
all of it is removed at the end: the test program that wrote it may have been killed. The programs are those of the
environment whose Python runs this. What Ironic publishes in DIRECTORY/http is served on PORT of the loopback interface.
"""

import datetime
import functools
import http.server
import ipaddress
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAMS = pathlib.Path(sys.executable).parent
# The loopback interface, and what virtual machines of QEMU see it as.
ADDRESSES = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("10.0.2.2")]


def certificate(key, name, issuer_key, issuer, extensions):
    """A certificate that is valid today."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def write_certificates(home):
    """ca.pem for clients, api.pem and api.key for the API."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = common_name("Authority of the tests")
    ca_extensions = [(x509.BasicConstraints(ca=True, path_length=0), True)]
    ca = certificate(ca_key, ca_name, ca_key, ca_name, ca_extensions)
    names = x509.SubjectAlternativeName([x509.IPAddress(address) for address in ADDRESSES])
    api_extensions = [(names, False), (x509.BasicConstraints(ca=False, path_length=None), True)]
    api = certificate(key, common_name("Ironic of the tests"), ca_key, ca_name, api_extensions)
    (home / "ca.pem").write_bytes(pem(ca))
    (home / "api.pem").write_bytes(pem(api))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (home / "api.key").write_bytes(key.private_bytes(*form))


def serve_published(home, port):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=home / "http")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve(home):
    write_certificates(home)
    config = ["--config-file", str(home / "ironic.conf")]
    output = {"stdin": subprocess.DEVNULL, "stdout": sys.stderr, "stderr": sys.stderr}
    subprocess.run([PROGRAMS / "ironic-dbsync", *config, "create_schema"], check=True, **output)
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ.get('PATH', os.defpath)}"}
    # It makes a session of its own in any case; this way it has one from the first moment.
    ironic = subprocess.Popen(
        [PROGRAMS / "ironic", *config], start_new_session=True, env=environment, **output
    )
    threading.Thread(target=end_with_input, args=(ironic,), daemon=True).start()
    code = ironic.wait()
    if code != -signal.SIGKILL:
        sys.exit(f"Ironic ended by itself: {code}")


def end_with_input(ironic):
    sys.stdin.buffer.read()
    # Nothing of it is needed again, and its polite end takes up to a minute.
    os.killpg(ironic.pid, signal.SIGKILL)


def main():
    home = pathlib.Path(sys.argv[1])
    try:
        serve_published(home, int(sys.argv[2]))
        serve(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
