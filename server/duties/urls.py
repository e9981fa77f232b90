"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.duties import api

urlpatterns = [
    path("duties", api.Duties.as_view(), name="duties"),
    path("duties/<uuid:duty_id>/done", api.DutyDone.as_view(), name="duty-done"),
]
