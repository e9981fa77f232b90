"""`Idempotency-Key` on POSTs: a retry is the same act (law 3)."""

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from server.common.clock import now
from server.common.errors import Conflict, Invalid, Unauthenticated
from server.common.models import IdempotencyRecord

KEPT = timedelta(hours=24)
Handler = Callable[..., Response]


@functools.cache
def _box() -> Fernet:
    """Answers may hold content: they are kept encrypted under a key that is not in the database, and for a day."""
    digest = hashlib.sha256(b"samsnakk idempotency answers" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def idempotent(handler: Handler) -> Handler:
    """Make a view's `post` repeatable. The view may define `recheck(request, **kwargs)`, called before an old answer is
    given again, so that what was said once is not said to someone whose access has ended; what it returns, if anything,
    is said instead: an answer that shows how things stand shows how they stand now, to whoever asks now. With
    `restate(answer, request, **kwargs)` a view takes from an old answer what may no longer be said. What it names in
    `told_once`, a key or a token, is in the first answer alone: it is not kept, and null when that is given again.

    Raises Invalid (`idempotency_key`) and Conflict (`idempotency_key_reused`).
    """

    @functools.wraps(handler)
    def post(view: APIView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not 0 < len(key) <= 200 or not key.isprintable():
            raise Invalid(code="idempotency_key")
        body = json.dumps(request.data, sort_keys=True, cls=JSONEncoder)
        operation = f"{request.resolver_match.route if request.resolver_match else ''} {sorted(kwargs.items())}"
        digest = hashlib.sha256(operation.encode()).hexdigest()
        fingerprint = salted_hmac("idempotency", f"{digest}\n{body}", algorithm="sha256").digest()
        with transaction.atomic():
            try:
                with transaction.atomic():
                    record = IdempotencyRecord.objects.create(
                        user_id=_owner(request), key=key, operation=digest, fingerprint=fingerprint
                    )
            except IntegrityError:  # the first attempt has committed (one in flight was waited for by the insert)
                return _again(view, request, key, fingerprint, kwargs)
            response = handler(view, request, *args, **kwargs)
            record.status = response.status_code
            record.answer = _box().encrypt(json.dumps(_kept(view, response.data), cls=JSONEncoder).encode())
            record.save(update_fields=["status", "answer"])
            return response

    return post


def _kept(view: APIView, answer: Any) -> Any:
    secrets = [name for name in getattr(view, "told_once", ()) if name in answer]
    return {**answer, **dict.fromkeys(secrets)} if secrets else answer


def _owner(request: Request) -> UUID:
    if not isinstance(request.user.pk, UUID):
        raise Unauthenticated
    return request.user.pk


def _again(view: APIView, request: Request, key: str, fingerprint: bytes, kwargs: dict[str, Any]) -> Response:
    record = IdempotencyRecord.objects.get(user_id=_owner(request), key=key)
    if not hmac.compare_digest(bytes(record.fingerprint), fingerprint):
        raise Conflict(code="idempotency_key_reused")
    recheck = getattr(view, "recheck", None)
    answer = recheck(request, **kwargs) if recheck is not None else None
    if answer is None:
        answer = json.loads(_box().decrypt(bytes(record.answer)))
        restate = getattr(view, "restate", None)
        answer = answer if restate is None else restate(answer, request, **kwargs)
    return Response(answer, status=record.status, headers={"Idempotent-Replay": "true"})


def forget_old() -> int:
    """Drop answers older than a day; returns how many."""
    return IdempotencyRecord.objects.filter(created_at__lt=now() - KEPT).delete()[0]
