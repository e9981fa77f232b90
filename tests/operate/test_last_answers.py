"""What has been asked before a process ends is answered: a proxy may not send a POST to another process instead."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.served import ROOT, environment, sqlite_only
from tools.servers import free_port

pytestmark = sqlite_only

ASK = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
SERVER = """
import asyncio, os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "server.settings"
from server.operate.daphne import DrainingServer

async def answer(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            print("up", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        print("asked", flush=True)
        for _ in range(4):
            await asyncio.sleep(0.05)
            time.sleep(0.4)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

DrainingServer(answer, host="127.0.0.1", port=int(sys.argv[1])).run()
"""


def test_a_busy_process_answers_before_it_ends(tmp_path: Path) -> None:
    """Red when an end waits for a time in which its loop, held up by others, never came to look."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], cwd=ROOT, env=environment(tmp_path, MODE="demo"), stdout=-1
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as asked:
            asked.sendall(ASK)
            assert process.stdout.readline() == b"asked\n"
            process.terminate()
            assert asked.recv(12) == b"HTTP/1.1 204"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
