"""A call for help at each point of its way, to begin a case from."""

from collections.abc import Callable

from server.alerts import deeds
from tests.alerts.wound import IDA, NILS, Wound, at_step


def received() -> Wound:
    return Wound()


def paging() -> Wound:
    return at_step(Wound(), 1)


def exhausted() -> Wound:
    return at_step(Wound(), 4)


def cancelled() -> Wound:
    wound = paging()
    wound.do(deeds.cancel)
    return wound


def accepted() -> Wound:
    wound = paging()
    wound.accept(NILS, 0)
    return wound


def calling() -> Wound:
    return then(accepted(), lambda wound: wound.by(deeds.calling, NILS))


def in_contact() -> Wound:
    return then(calling(), lambda wound: wound.by(deeds.in_contact, NILS, alone=False))


def not_reached() -> Wound:
    return then(calling(), lambda wound: wound.by(deeds.not_reached, NILS))


def offered() -> Wound:
    return then(accepted(), lambda wound: wound.by(deeds.hand_over, NILS, IDA.id))


def following_up() -> Wound:
    return then(cancelled(), lambda wound: wound.accept(NILS, 0))


def closed() -> Wound:
    return then(in_contact(), lambda wound: wound.by(deeds.close, NILS, "helped_by_phone", "none"))


def then(wound: Wound, deed: Callable[[Wound], object]) -> Wound:
    deed(wound)
    return wound
