"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.review.api.access_log import AccessLog

urlpatterns = [path("me/access-log", AccessLog.as_view())]
