"""What is wrong with how this installation reaches people, one line each; for `serve` and `check --deploy`."""

from django.conf import settings

from server.notify import vapid

NOBODYS = "mailto:samsnakk@localhost"


def faults() -> list[str]:
    """What cannot work, in any mode."""
    env, found = settings.ENV, []
    if not vapid.is_whole():
        found.append(
            "VAPID_KEY_FILE holds something that is no private key on the curve P-256 in PEM, or cannot be read."
        )
    if env.gateway_url and not (env.gateway_secret and env.public_url and env.caller_id):
        found.append("GATEWAY_URL needs GATEWAY_SECRET, PUBLIC_URL and CALLER_ID.")
    return found


def production_faults() -> list[str]:
    """What only tests may do."""
    if settings.ENV.push_hosts_allowed:
        return ["PUSH_HOSTS_ALLOWED is for tests: it lets whoever registers a device choose hosts of this network."]
    return []


def production_warnings() -> list[str]:
    """What works, and leaves somebody unreached."""
    env, found = settings.ENV, []
    if not vapid.keys():
        found.append(f"there is no key at {vapid.file()}: no device gets notifications or pages (docs/notify.md).")
    elif env.vapid_subject == NOBODYS:
        found.append("VAPID_SUBJECT names nobody whom a push service could write to; some refuse what we send.")
    if not env.gateway_url:
        found.append(
            "GATEWAY_URL is missing: no telephone rings, and whoever sleeps beside a silent device is not woken."
        )
    return found
