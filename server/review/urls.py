"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.review.api import AccessLog

urlpatterns = [path("me/access-log", AccessLog.as_view())]
