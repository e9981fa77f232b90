"""Model fields of this app."""

from typing import Any

from django.db import models


class FoldedField(models.CharField):
    """A case-folded copy of another field, for searching.

    SQLite folds ASCII only and PostgreSQL by its locale; Python folds «Øyvind» and «øyvind» alike on both. The copy is
    made in `pre_save`, which `save` and `bulk_create` both pass.
    """

    def __init__(self, *args: Any, source: str = "", **kwargs: Any) -> None:
        self.source = source
        kwargs.setdefault("editable", False)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "source": self.source}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        folded = str(getattr(model_instance, self.source)).casefold()[: self.max_length]
        setattr(model_instance, self.attname, folded)
        return folded
