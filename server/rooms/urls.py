"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.rooms.api import emergency, own_posts, rooms

urlpatterns = [
    path("rooms", rooms.Rooms.as_view()),
    path("rooms/<uuid:room_id>", rooms.OneRoom.as_view()),
    path("rooms/<uuid:room_id>/members", rooms.Members.as_view()),
    path("rooms/<uuid:room_id>/members/<uuid:member_id>", rooms.OneMember.as_view()),
    path("rooms/<uuid:room_id>/events", rooms.Events.as_view()),
    path("rooms/<uuid:room_id>/own-posts", own_posts.OwnPosts.as_view()),
    path("rooms/<uuid:room_id>/messages", rooms.Messages.as_view()),
    path("rooms/<uuid:room_id>/events/<int:seq>/edit", rooms.Edit.as_view()),
    path("rooms/<uuid:room_id>/events/<int:seq>/retract", rooms.Retract.as_view()),
    path("rooms/<uuid:room_id>/read", rooms.Read.as_view()),
    path("rooms/<uuid:room_id>/receipts", rooms.AllReceipts.as_view()),
    path("rooms/<uuid:room_id>/emergency-access", emergency.Emergency.as_view()),
    path("emergency-access/<uuid:access_id>", emergency.ForReview.as_view()),
    path("patients/<uuid:patient_id>/rooms", emergency.RoomsOfPatient.as_view()),
]
