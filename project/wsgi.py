"""The site for a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# A server's worker keeps a pool of connections; settings explain why nothing else does.
os.environ.setdefault("DB_POOL", "1")

application = get_wsgi_application()

from invalidation import keeper  # noqa: E402 - it has models, which need Django to be set up

keeper.start()
