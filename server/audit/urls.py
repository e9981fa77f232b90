"""Addresses of this app, under `/api/v1/`."""

from django.urls import path, register_converter

from server.audit import api


class LevelConverter:
    """The level of a hash tile, as C2SP tlog-tiles writes it."""

    regex = "[0-9]|[1-5][0-9]|6[0-3]"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class TreeConverter:
    """The number of a tree: small, and written in one way."""

    regex = "[1-9][0-9]{0,5}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(LevelConverter, "level")
register_converter(TreeConverter, "tree")

urlpatterns = [
    path("audit/checkpoint", api.PublicCheckpoint.as_view()),
    path("audit/tile/<level:level>/<path:rest>", api.PublicTile.as_view()),
    path("audit/keys", api.Keys.as_view()),
    path("audit/trees", api.Trees.as_view()),
    path("audit/trees/<tree:tree>/checkpoint", api.TreeCheckpoint.as_view()),
    path("audit/trees/<tree:tree>/tile/<level:level>/<path:rest>", api.TreeTile.as_view()),
]
