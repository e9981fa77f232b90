"""Fields of this part of the API: each says what is wanted, never what came (law 9)."""

from datetime import date
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from server.alerts import plan as plans
from server.alerts import rules
from server.people.api.shapes import TelephoneField
from server.people.hours import faults

MOST_EXCEPTIONS = 400


class DutyNumberField(TelephoneField):
    """A telephone that the software may call: never 113, 116 117 and their like, which people ring themselves."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "emergency_number": _("The software never calls emergency numbers itself. Give another number.")
    }

    def to_internal_value(self, data: Any) -> str:
        number = super().to_internal_value(data)
        if not rules.may_be_rung(number):
            self.fail("emergency_number")
        return number

    def uniform(self, text: str) -> str:
        short = f"+47{text.replace(' ', '')}"
        return short if short in rules.EMERGENCY_NUMBERS else super().uniform(text)


class ShapedField(serializers.JSONField):
    """JSON of a shape that `faults` knows."""

    default_error_messages: ClassVar[dict[str, Any]] = {"shape": _("This does not have the right form.")}

    def faults(self, value: Any) -> list[str]:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if self.faults(value):
            self.fail("shape")
        return value


class OfficeHoursField(ShapedField):
    """`{"mon": [["08:00", "15:30"]], …, "holiday": []}`, wall-clock Europe/Oslo."""

    def faults(self, value: Any) -> list[str]:
        return faults(value)


class ExceptionsField(ShapedField):
    """`{"2026-12-24": [["08:00", "12:00"]]}`: a date's own hours in place of the weekday's and the holiday's."""

    def faults(self, value: Any) -> list[str]:
        if not isinstance(value, dict) or len(value) > MOST_EXCEPTIONS or not all(map(_is_date, value)):
            return ["dates"]
        return [code for spans in value.values() for code in faults({"mon": spans})]


class CriterionField(ShapedField):
    """`{"admissions": 3, "months": 12}`, or `{}`."""

    def faults(self, value: Any) -> list[str]:
        return rules.criterion_faults(value)


class LineField(serializers.CharField):
    """One line, read at a glance."""

    default_error_messages: ClassVar[dict[str, Any]] = {"one_line": _("Write one line.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=plans.LINE, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if not plans.is_line(text):
            self.fail("one_line")
        return text


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
