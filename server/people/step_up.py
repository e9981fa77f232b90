"""Fresh sign-in, until strong sign-in is built."""

from datetime import timedelta

from django.conf import settings

from server.people.actors import Acting

FRESH = timedelta(minutes=5)


class RecentSignIn:
    """`rooms.ports.StepUp`. In demo mode a session under five minutes old, by the database's time; in production
    nobody: what needs it is refused there until sign-in can ask again (L5)."""

    def fresh(self, acting: Acting) -> bool:
        session = acting.session
        return settings.DEMO and session is not None and acting.at - session.created < FRESH
