"""Routes. Each app has its own addresses; the floors decide nothing here."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from server.alerts.urls import urlpatterns as alerts
from server.audit.urls import urlpatterns as audit
from server.consent.urls import urlpatterns as consent
from server.duties.urls import urlpatterns as duties
from server.gateway.urls import urlpatterns as gateway
from server.notify.urls import urlpatterns as notify
from server.operate.urls import urlpatterns as operate
from server.people.urls import urlpatterns as people
from server.review.urls import urlpatterns as review
from server.rooms.urls import urlpatterns as rooms

api: list[URLPattern | URLResolver] = [
    *audit,
    *people,
    *duties,
    *consent,
    *notify,
    *rooms,
    *alerts,
    *review,
    *gateway,
    path("schema/", SpectacularJSONAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
]

urlpatterns: list[URLPattern | URLResolver] = [path("api/v1/", include(api)), *operate]

handler400 = "server.wiring.bad_request"
handler404 = "server.wiring.not_found"
handler500 = "server.wiring.server_error"
