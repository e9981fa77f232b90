"""What production refuses to start with, each in one clear line, and that it starts with what is proper."""

import base64
import json
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from server.notify import vapid
from server.operate import preflight
from server.review.retention import OURS
from server.settings.env import Environment, read_environment
from tests.support.served import ROOT, environment, manage, once, production, serve
from tests.support.sign_in_file import sign_in

pytestmark = once

POSTGRES = "postgresql://nobody@127.0.0.1:1/none"  # never reached: it is refused before anybody is asked


def key_file(folder: Path, *, demo: bool) -> str:
    path = folder / "keys"
    line = f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    path.write_text(f"#demo\n{line}\n" if demo else f"{line}\n")
    return str(path)


def refused(env: dict[str, str]) -> str:
    """Start, expect a refusal in one line, and return it."""
    ended = manage("serve", env={"PORT": "0", **env})
    said = (ended.stdout + ended.stderr).strip()
    assert ended.returncode not in (0, None), said
    assert "Traceback" not in said, said
    assert len(said.splitlines()) == 1, said
    assert said.startswith("samsnakk: "), said
    return said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"SECRET_KEY": ""}, "SECRET_KEY is missing", id="no secret key"),
        pytest.param({"SECRET_KEY": "short"}, "SECRET_KEY is missing, or shorter", id="short secret key"),
        pytest.param({"SECRET_KEY": "demo-only-" * 8}, "SECRET_KEY is missing", id="the demo's secret key"),
        pytest.param({"DEBUG": "1"}, "DEBUG is on", id="debug"),
        pytest.param({"MASTER_KEYS": ""}, "no master key", id="no master key"),
        pytest.param({"MASTER_KEYS": "1:bm90IGEga2V5"}, "master key version 1 is", id="a short master key"),
        pytest.param({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS must name", id="no hosts"),
        pytest.param({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name", id="any host"),
        pytest.param({"ALLOWED_HOSTS": "samsnakk.test, *"}, "ALLOWED_HOSTS must name", id="any host among others"),
        pytest.param({"DATABASE_URL": POSTGRES}, "REDIS_URL is missing", id="the in-process layer on PostgreSQL"),
        pytest.param({"PILOT": ""}, "DATABASE_URL is missing", id="SQLite, unless it is a pilot"),
        pytest.param({"PUSH_HOSTS_ALLOWED": "10.0.0.1"}, "PUSH_HOSTS_ALLOWED is for tests", id="push into the network"),
        pytest.param({"GATEWAY_URL": "https://gw.test"}, "GATEWAY_URL needs", id="half a gateway"),
        pytest.param({"PORT": "80a"}, "PORT: ", id="malformed"),
        pytest.param({"DATABASE_URL": "mysql://x:hemmelig@y/z"}, "DATABASE_URL: ", id="another database"),
    ],
)
def test_production_refuses(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    line = refused(production(tmp_path, **wrong))
    assert said in line
    assert "hemmelig" not in line, "a value may be a secret"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"PORT": "80a"}, "PORT: ", id="port no number"),
        pytest.param({"PORT": "70000"}, "PORT: ", id="port out of range", marks=pytest.mark.prove),
        pytest.param({"MODE": "test"}, "MODE: ", id="unknown mode"),
        pytest.param({"THROTTLE": "maybe"}, "THROTTLE: ", id="neither yes nor no", marks=pytest.mark.prove),
        pytest.param({"DB_THREADS": "0"}, "DB_THREADS: ", id="too few threads", marks=pytest.mark.prove),
        pytest.param({"HEARTBEAT_S": "0"}, "HEARTBEAT_S: ", id="no heartbeat", marks=pytest.mark.prove),
        pytest.param({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: ", id="unknown level", marks=pytest.mark.prove),
        pytest.param({"DATABASE_URL": "mysql://x:hemmelig@y/z"}, "DATABASE_URL: ", id="another database"),
        pytest.param({"DATABASE_URL": "hemmelig"}, "DATABASE_URL: ", id="no address", marks=pytest.mark.prove),
        pytest.param({"DATABASE_URL": "postgresql://x:hemmelig@y:z/w"}, "DATABASE_URL: ", id="no port"),
        pytest.param({"REDIS_URL": "hemmelig:6379"}, "REDIS_URL: ", id="no address of Redis"),
    ],
)
def test_malformed_values(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], said: str) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read_environment()
    line = str(ended.value)
    assert line.startswith("samsnakk: the environment is not usable. ")
    assert said in line
    assert len(line.splitlines()) == 1
    assert "hemmelig" not in line, "a value may be a secret"


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Environment.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert read_environment() == Environment.model_construct()
    monkeypatch.setenv("ALLOWED_HOSTS", "a.test, b.test c.test")
    assert read_environment().allowed_hosts == ["a.test", "b.test", "c.test"]


def test_secrets_are_not_shown() -> None:
    shown = repr(Environment(secret_key="hemmelig", master_keys="hemmelig", database_url="sqlite:////hemmelig"))
    assert "hemmelig" not in shown


def test_a_demo_key_is_refused(tmp_path: Path) -> None:
    assert "demo" in refused(production(tmp_path, MASTER_KEYS="", MASTER_KEY_FILE=key_file(tmp_path, demo=True)))


def test_whoever_vanishes_holds_nothing_for_long(tmp_path: Path) -> None:
    """A host that loses its power within a transaction keeps the rows that it has locked until somebody ends it: for
    two hours, if nobody says otherwise. `prove_vanished` has one that does."""
    env = production(tmp_path, DATABASE_URL=f"{POSTGRES}?sslmode=disable")
    show = "import json; from server.settings import DATABASES; d = DATABASES['default']['OPTIONS']; del d['pool']; "
    shown = subprocess.check_output([sys.executable, "-c", show + "print(json.dumps(d))"], env=env, cwd=ROOT)
    options = json.loads(shown)
    alive = {name: value for name, value in options.items() if "keepalives" in name or name == "tcp_user_timeout"}
    assert alive == {
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
    assert options["sslmode"] == "disable", "what the address says is kept"
    theirs = [one.strip() for one in options["options"].split("-c ")]
    assert {
        "idle_in_transaction_session_timeout=15000",
        "tcp_keepalives_idle=5",
        "tcp_keepalives_interval=2",
        "tcp_keepalives_count=3",
        "tcp_user_timeout=10000",
    } <= set(theirs)


def test_a_key_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert "cannot be read" in refused(production(tmp_path, MASTER_KEYS="", MASTER_KEY_FILE=missing))


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    line = refused(production(tmp_path, DATABASE_URL=POSTGRES, REDIS_URL="redis://127.0.0.1:1"))
    assert "the database does not answer" in line


@pytest.mark.parametrize("mode", ["demo", "production"])
def test_a_busy_port(tmp_path: Path, mode: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = production(tmp_path) if mode == "production" else environment(tmp_path, MODE="demo")
        assert f"port {port} on 127.0.0.1 is taken" in refused({**env, "PORT": port})


@pytest.mark.parametrize("mode", ["demo", "production"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, mode: str) -> None:
    (tmp_path / "file").write_text("")
    env = production(tmp_path) if mode == "production" else environment(tmp_path, MODE="demo")
    line = refused({**env, "VAR_DIR": str(tmp_path / "file" / "var")})
    assert "Set VAR_DIR to one that can be written" in line


def test_production_is_what_runs_when_nothing_is_said(tmp_path: Path) -> None:
    assert "SECRET_KEY" in refused(environment(tmp_path))


def test_a_proper_environment_passes_every_check(tmp_path: Path) -> None:
    vapid.make(tmp_path / "vapid.pem")
    (tmp_path / "retention.json").write_text(json.dumps(json.loads(OURS.read_text()) | {"confirmed_by": "N.N."}))
    master_keys = Path(key_file(tmp_path, demo=False))
    master_keys.chmod(0o600)
    env = production(
        tmp_path,
        MASTER_KEYS="",
        MASTER_KEY_FILE=str(master_keys),
        SIGN_IN_FILE=str(sign_in(tmp_path)),
        RETENTION_FILE=str(tmp_path / "retention.json"),
        BEHIND_TLS="1",
        TRUSTED_PROXIES="127.0.0.1",
        AUDIT_KEY_FILE=str(tmp_path / "signing.key"),
        AUDIT_CHECKPOINT_DIR=str(tmp_path),
        VAPID_KEY_FILE=str(tmp_path / "vapid.pem"),
        VAPID_SUBJECT="mailto:drift@samsnakk.test",
        GATEWAY_URL="https://gateway.test",
        GATEWAY_SECRET="a secret of the gateway's and ours".replace(" ", "-"),
        PUBLIC_URL="https://samsnakk.test",
        CALLER_ID="Varsel",
    )
    assert manage("migrate", "--verbosity=0", env=env).returncode == 0
    assert manage("audit", "keygen", "--name", "log.example", env=env).returncode == 0
    checked = manage("check", "--deploy", "--fail-level=WARNING", env=env)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


@pytest.mark.parametrize("wrong", [{"DEBUG": "1"}, {"ALLOWED_HOSTS": "*"}, {"MASTER_KEYS": ""}])
def test_the_check_says_what_serve_would_refuse(tmp_path: Path, wrong: dict[str, str]) -> None:
    assert manage("check", "--deploy", env=production(tmp_path, **wrong)).returncode != 0


def test_what_production_warns_of(tmp_path: Path) -> None:
    """Nobody keeps a checkpoint, and nothing is sealed: said by the check and at the start, and neither is refused."""
    env = production(tmp_path)
    assert manage("migrate", "--verbosity=0", env=env).returncode == 0
    checked = manage("check", "--deploy", env=env)
    assert checked.returncode == 0
    with serve(tmp_path, env, host="samsnakk.test") as server:
        said = server.log.read_text()
    for words in ("checkpoints are kept nowhere but here", "SEQUENCER is on, and there is no key"):
        assert words in checked.stderr
        assert f"samsnakk: warning: {words}" in said


@pytest.mark.parametrize(
    ("store", "refused", "warned"),
    [
        ("postgresql://other:secret@db.example/samsnakk", True, False),
        ("postgresql://db.example:5432/samsnakk", True, False),
        ("postgresql://DB.example/store", False, True),
        ("postgresql://db.example:5433/samsnakk", False, False),
        ("postgresql://elsewhere.example/samsnakk", False, False),
        ("postgresql:///samsnakk", False, False),
        ("", False, False),
    ],
)
def test_a_store_beside_the_log(monkeypatch: pytest.MonkeyPatch, store: str, refused: bool, warned: bool) -> None:
    """It would be restored with it."""
    monkeypatch.setattr(settings, "EMBEDDED", False)
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db.example")
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", "")
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", "samsnakk")
    kept = {"audit_store": store, "audit_checkpoint_dir": Path("/x"), "sequencer": False}
    monkeypatch.setattr(settings, "ENV", settings.ENV.model_copy(update=kept))
    assert any(one.startswith("AUDIT_STORE names the database") for one in preflight.choice_faults()) is refused
    assert any(one.startswith("AUDIT_STORE is on the server") for one in preflight.production_warnings()) is warned
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "localhost")
    assert any(one.startswith("AUDIT_STORE") for one in preflight.choice_faults()) is (
        store == "postgresql:///samsnakk"
    )


def test_production_serves_without_the_demo(tmp_path: Path) -> None:
    env = production(
        tmp_path, BEHIND_TLS="1", TRUSTED_PROXIES="127.0.0.1", SEQUENCER="0"
    )  # as in production: another process seals
    over_tls = {"Host": "samsnakk.test", "X-Forwarded-Proto": "https"}
    with (
        serve(tmp_path, env, host="samsnakk.test") as server,
        httpx.Client(base_url=server.url, verify=False) as client,
    ):
        ready = client.get("/health/ready", headers={"Host": "samsnakk.test"})
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "warnings": []})
        signing_in = client.post("/api/v1/demo/sign-in", json={"persona": "kari"}, headers=over_tls)
        assert signing_in.status_code == 404
        unknown = client.get("/api/v1/there-is-no-such-thing", headers=over_tls)
        assert signing_in.content == unknown.content
        assert "max-age=63072000" in unknown.headers["Strict-Transport-Security"]
        assert client.get("/api/v1/me", headers=over_tls).status_code == 401
        plain = client.get("/api/v1/me", headers={"Host": "samsnakk.test"})
        assert (plain.status_code, plain.headers["Location"][:8]) == (301, "https://")
        assert client.get("/api/v1/me", headers={**over_tls, "Host": "elsewhere.test"}).status_code == 400
    said = server.log.read_text()
    assert "Who can sign in" not in said
    assert env["SECRET_KEY"] not in said
    assert manage("demo", "town", env=env).returncode != 0
