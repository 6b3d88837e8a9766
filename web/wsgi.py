"""Entry for WSGI servers, `web.wsgi:app`. It patches before anything else is imported."""

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load().async_mode)  # does nothing where the server has done so, or for threads

from web.app import create_app  # noqa: E402

app = create_app()
