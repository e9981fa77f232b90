"""Addresses outside `/api/v1/`."""

from django.urls import path

from server.operate import health

urlpatterns = [path("health/live", health.live), path("health/ready", health.ready)]
