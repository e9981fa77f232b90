"""Addresses outside `/api/v1/`."""

from django.urls import path

from server.operate import health, metrics

urlpatterns = [path("health/live", health.live), path("health/ready", health.ready), path("metrics", metrics.metrics)]
