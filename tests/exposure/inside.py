"""What runs inside the installation and may hold something of a room: every command, every loop. The end of the table
in `paths.py`, which says what the words mean."""

from tests.exposure.asks import Content, Plain


def _each(why: str, names: str) -> dict[str, Plain]:
    return {name: Plain(why) for name in names.split()}


COMMANDS: dict[str, Content | Plain] = {
    "serve": Plain("serves what is walked here"),
    "demo": Plain("makes invented people and rooms in demo mode; writes ids and sessions of those it made"),
    "story": Plain("plays with sessions of its own, through the API and the socket, which are walked here"),
    "people": Plain("whose identity number leads to which account, which it does not show; keys towards providers"),
    "vault": Plain("ids, versions and counts of keys"),
    "audit": Plain("ids, numbers and codes; an export is for log verifiers, and holds no content"),
    "consent": Plain("ids, numbers and codes of what cannot be verified"),
    "backup": Plain("the whole database into one file, encrypted for whoever would restore it; writes sizes and times"),
    "restore": Plain("puts such a file back, or says what it is; writes counts"),
    "administrator": Plain("the id of an account"),
    "person": Content("all that is held about one person, for whoever has the server's shell; for a reason, on record"),
    "review": Plain("counts and positions of officers' lines"),
    "notify": Plain("ids of keys, times, and how many devices are registered for each"),
    "watchdog": Plain("codes and counts of what is wrong with calls for help"),
    "dumpdata": Plain("rows as the database holds them: what was written stays sealed"),
    **_each(
        "for whoever has the server's shell and its keys: no interface of the product",
        "shell dbshell test testserver runserver runworker",
    ),
    **_each("tables and code, no rows", "check inspectdb diffsettings sqlflush sqlmigrate sqlsequencereset"),
    **_each("tables and code, no rows", "migrate makemigrations squashmigrations optimizemigration showmigrations"),
    **_each("tables and code, no rows", "remove_stale_contenttypes createcachetable startapp startproject"),
    **_each("puts rows in or takes them away, and shows none", "loaddata flush createsuperuser changepassword"),
    **_each("texts and files of the product", "makemessages compilemessages collectstatic findstatic"),
    **_each("the OpenAPI document", "spectacular generateschema"),
    **_each("a mail with fixed words", "sendtestemail"),
}

LOOPS: dict[str, Content | Plain] = {
    "people": Plain("ends periods and sessions; tells nobody but by hints"),
    "consent": Plain("ends consents; tells nobody but by hints"),
    "notify": Plain("sends what rooms and alerts have ordered: fixed texts, and tokens; asks them before it does"),
    "notify-upkeep": Plain("forgets what the gateway said, and devices that somebody signed out"),
    "trial": Plain("raises a call for help that is nobody's, for the test responder; ids and codes"),
    "alerts": Plain("decides whom to call for help, and orders fixed texts"),
    "rosters": Plain("lays out shifts; sends fixed texts that say only that something waits"),
    "rooms": Plain("ends emergency access and shows patients what was hidden; tells nobody but by hints"),
    "notices": Plain("tells members that something was written, not what, where or by whom; decided again when sent"),
    "review": Plain("copies ids and codes of the log into the lines that officers read; tells nobody"),
    "erasures": Plain("destroys keys of what officers have had erased; ids and codes"),
    "findings": Plain("asks about odd access; writes ids and codes for officers, tells nobody"),
    "idempotency": Plain("forgets old answers"),
    "audit": Plain("seals; writes ids and hashes"),
    "checkpoint-copies": Plain("writes how many entries the log has, and one hash over them"),
    "checkpoint-thinning": Plain("deletes some of these"),
    "checkpoint-mail": Plain("the same by e-mail"),
}
"""Loops of the worker. One that sends something of a room to somebody is walked as a route is."""
