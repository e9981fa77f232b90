"""A whole installation on one machine: PostgreSQL with its roles, Redis, two servers, sequencer and watchdog as their
units run them, and nginx with the configuration of deploy/ in front, with a certificate of a throw-away authority."""

import base64
import contextlib
import json
import secrets
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from server.notify import vapid
from tests.faults.stage import Place, Somebody
from tests.operations.units import Machine, Unit
from tests.support import plain
from tests.support.deployed import Deployed
from tests.support.gateway_sink import GatewaySink
from tests.support.served import ROOT, manage
from tools.nginx import PrivateNginx
from tools.servers import PrivatePostgres, PrivateRedis, free_port

HOST = "localhost"
START_S = 90.0
CONFIGURATION = ROOT / "deploy" / "nginx" / "nginx.conf"


@dataclass
class Site:
    machine: Machine
    database: Deployed
    servers: list[Unit]
    sequencer: Unit
    watchdog: Unit
    nginx: PrivateNginx
    https: int
    http: int
    authority: Path
    rooms: list[Place]
    verifier_key: str
    gateway: GatewaySink
    faults: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"https://{HOST}:{self.https}"

    @property
    def socket_url(self) -> str:
        return f"wss://{HOST}:{self.https}/ws/v1"

    def client(self, who: Somebody | None = None, **more: object) -> httpx.Client:
        headers = who.headers if who is not None else {}
        return httpx.Client(base_url=self.base, verify=trusting(self), headers=headers, timeout=30, **more)  # type: ignore[arg-type]

    def direct(self, number: int, path: str, **headers: str) -> httpx.Response:
        """One server process, asked from this machine without the proxy."""
        port = self.servers[number].instance
        return plain.get(f"http://127.0.0.1:{port}{path}", headers={"Host": HOST, **headers}, timeout=10)

    def ready(self, number: int) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.direct(number, "/health/ready").status_code == 200
        return False

    def wait_ready(self, number: int) -> None:
        begun = time.monotonic()
        while not self.ready(number):
            unit = self.servers[number]
            assert unit.process is not None
            told = unit.log.read_text(errors="replace")[-3000:]
            assert unit.process.poll() is None, f"the server ended: {told}"
            assert time.monotonic() - begun < START_S, f"the server is not ready: {told}"
            time.sleep(0.1)


def certificate(folder: Path) -> Path:
    """Key and chain for `HOST` in `folder`; the authority's certificate."""
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away authority")])
    now = datetime.now(UTC)

    def sign(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )
        for extension in extensions:
            made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return made.sign(own, hashes.SHA256())

    authority = sign(name, own, x509.BasicConstraints(ca=True, path_length=0))
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = sign(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]),
        key,
        x509.SubjectAlternativeName([x509.DNSName(HOST)]),
        x509.BasicConstraints(ca=False, path_length=None),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "chain.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    return folder / "authority.pem"


def render(folder: Path, tls: Path, servers: list[str], https: int, http: int) -> str:
    """The file of deploy/, with this machine's ports, names and places; each is found there, or this test is wrong."""
    text = CONFIGURATION.read_text()
    for said, here in (
        ("user www-data;", ""),
        ("/run/nginx.pid", f"{folder}/run/nginx.pid"),
        ("/var/log/nginx", f"{folder}/log"),
        ("/var/lib/nginx", f"{folder}/lib"),
        ("/etc/samsnakk/tls", str(tls)),
        ("worker_processes auto;", "worker_processes 1;"),
        ("worker_connections 30000;", "worker_connections 1000;"),
        ("server 127.0.0.1:8001 ", f"server 127.0.0.1:{servers[0]} "),
        ("server 127.0.0.1:8002 ", f"server 127.0.0.1:{servers[1]} "),
        ("https://samsnakk.example.no$", f"https://{HOST}:{https}$"),
        ("samsnakk.example.no", HOST),
        ("listen 443 ", f"listen 127.0.0.1:{https} "),
        ("listen [::]:443 ", f"listen 127.0.0.9:{https} "),
        ("listen 80 ", f"listen 127.0.0.1:{http} "),
        ("listen [::]:80 ", f"listen 127.0.0.9:{http} "),
        # Few enough to be reached in a test.
        ("rate=200r/s", "rate=50r/s"),
        ("zone=requests burst=400", "zone=requests burst=60"),
        ("rate=30r/s", "rate=1r/s"),
        ("zone=sign_in burst=200", "zone=sign_in burst=10"),
        ("limit_conn connections 2000;", "limit_conn connections 20;"),
    ):
        assert said in text, f"deploy/nginx/nginx.conf says no longer: {said}"
        text = text.replace(said, here)
    return text


@contextlib.contextmanager
def built(deployed: Deployed, folder: Path) -> Iterator[Site]:
    """Everything started in order, and ended."""
    machine, database = Machine(folder, str(PrivatePostgres.find().parent)), deployed.another()
    with contextlib.ExitStack() as keep:
        redis = keep.enter_context(PrivateRedis())
        gateway = keep.enter_context(GatewaySink(secrets.token_urlsafe(32)))
        settle(machine, database, redis.url, gateway)
        made = manage(
            "audit",
            "keygen",
            "--name",
            "log.example",
            env=Unit(machine, "samsnakk-sequencer.service").environment() | PROCESS,
        )
        assert made.returncode == 0, made.stderr
        [key] = [line.strip() for line in made.stdout.splitlines() if line.startswith("  log.example+")]
        rooms = crowd(machine, database, rooms=4, members=4)
        ports = [str(free_port()), str(free_port())]
        servers = [Unit(machine, "samsnakk@.service", port) for port in ports]
        sequencer = Unit(machine, "samsnakk-sequencer.service")
        watchdog = Unit(machine, "samsnakk-watchdog.service")
        tls = folder / "tls"
        authority = certificate(tls)
        https, http = free_port(), free_port()
        nginx = PrivateNginx(
            lambda place: render(place, tls, ports, https, http),
            lambda: answers(http),
        )
        site = Site(machine, database, servers, sequencer, watchdog, nginx, https, http, authority, rooms, key, gateway)
        for unit in (*servers, sequencer, watchdog):
            keep.callback(end, unit)
            unit.start()
        for number in range(len(servers)):
            site.wait_ready(number)
        keep.enter_context(nginx)
        yield site


PROCESS = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return plain.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 301
    return False


def end(unit: Unit) -> None:
    if unit.process is not None and unit.process.poll() is None:
        unit.stop()


def settle(machine: Machine, database: Deployed, redis: str, gateway: GatewaySink) -> None:
    """The environment files of deploy/, filled in; master keys and the key for push as an operator makes them."""
    line = f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n"
    machine.write("master.keys", line)
    vapid.make(machine.folder / "etc" / "vapid.pem")
    machine.settle(
        "samsnakk",
        DATABASE_URL=database.address("samsnakk_server"),
        REDIS_URL=redis,
        SECRET_KEY=secrets.token_urlsafe(64),
        ALLOWED_HOSTS=HOST,
        HEARTBEAT_S="2",
        AUDIT_PUBLIC_EVERY_S="0",
        METRICS_TOKEN="a-token-for-this-test-alone",
        GATEWAY_URL=gateway.url,
        GATEWAY_SECRET=gateway.secret,
        CALLER_ID="Samsnakk",
    )
    machine.settle("sequencer", DATABASE_URL=database.address("samsnakk_sequencer"))
    machine.settle("backup", DATABASE_URL=database.address("samsnakk_backup"))
    machine.settle("watchdog", DATABASE_URL=database.address("samsnakk_watchdog"))


def crowd(machine: Machine, database: Deployed, *, rooms: int, members: int) -> list[Place]:
    """Rooms with consent given. Invented people are made in demo mode, under the installation's own master key; then
    their sessions become such as production lets in."""
    out = machine.folder / "crowd.json"
    key = (machine.folder / "etc" / "master.keys").read_text().strip()
    env = database.environment("samsnakk_server", MASTER_KEYS=key)
    made = manage("demo", "crowd", "--rooms", str(rooms), "--members", str(members), "--out", str(out), env=env)
    assert made.returncode == 0, made.stderr
    with database.connect("samsnakk") as superuser:
        superuser.execute("UPDATE people_session SET sign_in = 'in_person', level = 4")
    return [
        Place(one["id"], one["consent"], Somebody(**one["patient"]), tuple(Somebody(**each) for each in one["staff"]))
        for one in json.loads(out.read_text())["rooms"]
    ]


def trusting(site: Site) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(site.authority))


def access_log(site: Site) -> list[dict[str, object]]:
    return [json.loads(line) for line in (site.nginx.folder / "log" / "access.log").read_text().splitlines()]


def error_log(site: Site) -> str:
    return (site.nginx.folder / "log" / "error.log").read_text()
