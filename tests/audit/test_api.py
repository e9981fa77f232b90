"""What anybody may read of the log: enough to verify it, nothing beyond what is signed, and no entry."""

from typing import Any

from django.test import TestCase

from server.audit.adoption import adopt
from server.audit.verify import VerifierKey, open_checkpoint, root_of
from tests.audit.sealing import ORIGIN, Log, act
from tests.base import Client, TownTestCase


class Public(TownTestCase):
    log: Log

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log = Log()
        cls.addClassCleanup(cls.log.close)
        act(600)
        cls.size = cls.log.seal().size

    def get(self, path: str, **headers: str) -> Any:
        return Client().get(path, headers=headers)

    def test_a_stranger_computes_the_root_that_was_signed(self) -> None:
        answer = self.get("audit/checkpoint", Accept="text/plain")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=60"
        keys = [VerifierKey.parse(line) for line in self.get("audit/keys").content.decode().splitlines()]
        assert keys == [self.log.signer.verifier]
        said = open_checkpoint(answer.content.decode(), keys)
        assert (said.origin, said.size) == (ORIGIN, self.size)
        full, rest = divmod(said.size, 256)
        paths = [*(f"0/{number:03}" for number in range(full)), f"0/{full:03}.p/{rest}"]
        tiles = [self.get(f"audit/tile/{path}") for path in paths]
        assert {tile.headers["Content-Type"] for tile in tiles} == {"application/octet-stream"}
        hashes = b"".join(tile.content for tile in tiles)
        assert said.root == root_of(hashes[at : at + 32] for at in range(0, len(hashes), 32))
        above = self.get(f"audit/tile/1/000.p/{full}").content
        assert above == b"".join(root_of(_split(tile.content)) for tile in tiles[:full])

    def test_what_never_changes_is_kept_for_ever(self) -> None:
        """Below the number of its tree alone: after an adoption other tiles stand at the short address."""
        whole, part = self.get("audit/trees/1/tile/0/000"), self.get("audit/trees/1/tile/0/000.p/7")
        assert "immutable" in whole.headers["Cache-Control"]
        assert "immutable" not in part.headers["Cache-Control"]
        assert "immutable" not in self.get("audit/tile/0/000").headers["Cache-Control"]
        assert whole.content[: 7 * 32] == part.content
        again = self.get("audit/trees/1/tile/0/000", **{"If-None-Match": whole.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        checkpoint = self.get("audit/checkpoint")
        assert self.get("audit/checkpoint", **{"If-None-Match": checkpoint.headers["ETag"]}).status_code == 304
        act()
        self.log.seal()
        assert self.get("audit/checkpoint", **{"If-None-Match": checkpoint.headers["ETag"]}).status_code == 200

    def test_nothing_beyond_what_is_signed_and_nothing_malformed(self) -> None:
        act()  # not sealed
        full, rest = divmod(self.size, 256)
        beyond = [
            f"0/{full:03}.p/{rest + 1}",
            f"0/{full:03}",
            f"0/{full + 1:03}.p/1",
            f"1/000.p/{full + 1}",
            "2/000.p/1",
        ]
        huge = "0/" + "x999/" * 5 + "999"
        malformed = ["0/0", "0/0000", "00/000", "64/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/x000/001"]
        malformed += ["0/-01", "0/000/", "0/../000", "0/%00", "0/%D9%A0%D9%A0%D9%A0", "-1/000", "0/000.p/1%0A"]
        nothing = self.get("audit/nothing")
        for path in (*beyond, *malformed, huge):
            answer = self.get(f"audit/tile/{path}")
            assert (answer.status_code, answer.content) == (404, nothing.content), path
        for path in ("2/checkpoint", "0/checkpoint", "01/checkpoint", "999999/checkpoint", "2/tile/0/000.p/1"):
            assert self.get(f"audit/trees/{path}").content == nothing.content, path

    def test_entries_are_for_no_stranger(self) -> None:
        assert self.get("audit/tile/entries/000").status_code == 401

    def test_an_older_tree_stays_where_it_was(self) -> None:
        before = self.get("audit/checkpoint").content
        self.log.remember()
        adopt(store=self.log.store, signers=[self.log.signer], reason="restored")
        assert self.get("audit/trees/1/checkpoint").content == before
        assert self.get("audit/trees/1/tile/0/001").status_code == 200
        anew = self.get("audit/checkpoint").content.decode()
        assert open_checkpoint(anew, [self.log.signer.named(f"{ORIGIN}/2").verifier]).size == 1
        assert self.get("audit/trees/2/checkpoint").content.decode() == anew
        assert self.get("audit/tile/0/001").status_code == 404
        first, second = self.get("audit/trees").json()["results"]
        assert (first["size"], second["origin"], second["follows"]) == (self.size, f"{ORIGIN}/2", before.decode())


class Before(TestCase):
    def test_nothing_is_sealed_yet(self) -> None:
        act()
        for path in ("checkpoint", "keys", "tile/0/000", "tile/0/000.p/1"):
            assert Client().get(f"audit/{path}").status_code == 404, path
        assert Client().get("audit/trees").json() == {"results": []}


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
