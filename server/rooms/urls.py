"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.rooms import api

urlpatterns = [
    path("rooms", api.Rooms.as_view()),
    path("rooms/<uuid:room_id>", api.OneRoom.as_view()),
    path("rooms/<uuid:room_id>/members", api.Members.as_view()),
    path("rooms/<uuid:room_id>/members/<uuid:member_id>", api.OneMember.as_view()),
    path("rooms/<uuid:room_id>/events", api.Events.as_view()),
    path("rooms/<uuid:room_id>/messages", api.Messages.as_view()),
    path("rooms/<uuid:room_id>/events/<int:seq>/edit", api.Edit.as_view()),
    path("rooms/<uuid:room_id>/events/<int:seq>/retract", api.Retract.as_view()),
    path("rooms/<uuid:room_id>/read", api.Read.as_view()),
    path("rooms/<uuid:room_id>/receipts", api.AllReceipts.as_view()),
]
