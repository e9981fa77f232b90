from django.apps import AppConfig


class DutiesConfig(AppConfig):
    name = "server.duties"
    label = "duties"
