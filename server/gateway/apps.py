from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "server.gateway"
    label = "gateway"
