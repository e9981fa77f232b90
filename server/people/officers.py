"""Officers, as the log asks for them."""

from server.people.models import Officer


class AppointedOfficers:
    """`audit.ports.Recipients`: whoever is appointed now, by any controller, and has an address."""

    def addresses(self) -> list[str]:
        rows = Officer.objects.current().filter(user__is_active=True).exclude(email="")
        return list(rows.order_by("valid_from", "id").values_list("email", flat=True))
