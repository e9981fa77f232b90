"""The demo town's push service, under the name that tests know."""

from server.operate.town.push_service import Answer, Message, PushService, Subscription, decrypted

__all__ = ["Answer", "Message", "PushService", "Subscription", "decrypted"]
