from django.apps import AppConfig


class OperateConfig(AppConfig):
    name = "server.operate"
    label = "operate"
