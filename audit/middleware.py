"""Names the signed-in user as the actor of whatever a request changes."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from audit.actors import Actor, acting_as


class ActorMiddleware:
    """Must come after AuthenticationMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        def find() -> Actor:
            return Actor.from_user(getattr(request, "user", None), request.META.get("REMOTE_ADDR") or None)

        with acting_as(find):
            return self.get_response(request)
