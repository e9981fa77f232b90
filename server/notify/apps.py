from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "server.notify"
    label = "notify"
