"""Addresses outside `/api/v1/`."""

from django.urls import URLPattern, URLResolver, include, path

from server.operate import health, metrics
from server.operate.admin_site.pages import SITE
from server.operate.admin_site.site import STATIC, static

urlpatterns: list[URLPattern | URLResolver] = [
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.metrics),
    path("admin/", include((SITE.get_urls(), "admin"), namespace=SITE.name)),
    path(f"static/{STATIC}<path:name>", static),
]
