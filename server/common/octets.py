"""How many bytes a text takes in UTF-8, in questions and constraints alike: `text__octets__lte=…`."""

from typing import Any

from django.db import models


class Octets(models.Transform):
    """A lookup of text fields, where it is registered."""

    lookup_name = "octets"
    function = "OCTET_LENGTH"
    output_field = models.IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **extra)
