"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.notify import api, quiet_api

urlpatterns = [
    path("push/key", api.PushKey.as_view(), name="push-key"),
    path("devices", api.Devices.as_view(), name="devices"),
    path("devices/<uuid:device_id>", api.Device.as_view(), name="device"),
    path("devices/<uuid:device_id>/test", api.DeviceTest.as_view(), name="device-test"),
    path("me/quiet-hours", quiet_api.QuietHours.as_view(), name="quiet-hours"),
    path("me/reach", api.Reach.as_view(), name="reach"),
    path("pages/<str:token>/receipt", api.PageReceipt.as_view(), name="page-receipt"),
    path("pages/<str:token>/accept", api.PageAccept.as_view(), name="page-accept"),
    path("pages/<str:token>/decline", api.PageDecline.as_view(), name="page-decline"),
    path("notify/callback", api.GatewayCallback.as_view(), name="gateway-callback"),
]
