"""What can go wrong in the vault. No message holds plaintext, key bytes or a ciphertext (law 9): ids and codes only."""

from uuid import UUID


class VaultError(Exception):
    """Root of everything the vault raises on purpose."""


class Unreadable(VaultError):
    """A sealed value does not open. `reason` is one of the codes below.

    `format`: not a blob of ours; `unknown_key`: no such data key is stored; `key_damaged`: the stored key does not
    unwrap; `authentication`: changed, or moved from another row, field or key; `destroyed`: see `Destroyed`.
    """

    def __init__(self, reason: str, *, key: UUID | None = None, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key
        self.place = place

    def __str__(self) -> str:
        at = f" in {self.place}" if self.place else ""
        of = f" under data key {self.key}" if self.key else ""
        return f"a sealed value{at}{of} does not open: {self.reason}"


class Destroyed(Unreadable):
    """The data key was destroyed on purpose; nothing under it can be read or written again."""

    def __init__(self, *, key: UUID | None = None, place: str = "") -> None:
        super().__init__("destroyed", key=key, place=place)


class NotText(VaultError, ValueError):
    """A text holds lone surrogates and has no UTF-8 form. Says nothing about where, or what surrounds it."""

    def __init__(self) -> None:
        super().__init__("the text has no UTF-8 form")


class MasterKeyFault(VaultError):
    """The installation's master keys are missing, malformed, or lack the version that a stored key needs.

    An operator's fault, not the content's: it is no `Unreadable`, so that nobody shows it as lost content.
    """


class DestructionRefused(VaultError):
    """The custodian does not allow this key to be destroyed now. `reason` is the custodian's code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the data key may not be destroyed: {reason}")
        self.reason = reason
