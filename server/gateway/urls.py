"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.gateway import api

urlpatterns = [
    path("asyncapi.yaml", api.asyncapi),
    path("docs/", api.docs),
    path("docs/<str:name>", api.asset),
]
