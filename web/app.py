"""The web node's factory."""

from __future__ import annotations

from dataclasses import asdict

from flask import Flask

from bridge import Bridge
from bridge.settings import Settings
from web import dashboard, demo, job_page, pages, playground, sign_in
from web.catalog import catalog
from web.guard import refuse_state_changes_from_other_sites, secured
from web.identity import may, use_sessions, visitor_or_none
from web.refusals import handle_errors
from web.settings import DemoSettings
from web.task_source import task_sources
from web.uploads import Uploads


def create_app(
    settings: Settings | None = None, demo_settings: DemoSettings | None = None
) -> Flask:
    """Make the web node: the bridge, the page and the way to start jobs.

    It starts and connects nothing; that happens when the node serves.

    Args:
        settings: the bridge's; default: from the environment.
        demo_settings: the demo's; default: from the environment.

    Raises:
        SettingsError: a variable has a bad value, or no secret is set.
    """
    demo_settings = demo_settings or DemoSettings.load()
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = demo_settings.max_upload_bytes
    app.before_request(refuse_state_changes_from_other_sites)
    bridge = Bridge(app, may, **(asdict(settings) if settings else {}))
    app.extensions["demo-settings"] = demo_settings
    app.extensions["demo-catalog"] = catalog(demo_settings.folders)
    app.extensions["demo-sources"] = task_sources()
    app.extensions["demo-uploads"] = Uploads(demo_settings.uploads)
    app.extensions["demo-celery"] = bridge.celery = demo.make_client(bridge.settings)
    use_sessions(app, bridge.settings, accounts=demo_settings.accounts)
    app.add_template_filter(job_page.clock, "clock")
    app.add_template_filter(job_page.told, "told")
    app.context_processor(lambda: {"visitor": visitor_or_none(), "sign_in": demo_settings.accounts})
    app.wsgi_app = secured(app.wsgi_app)  # type: ignore[assignment,method-assign]
    for module in (pages, dashboard, job_page, playground, sign_in, demo):
        app.register_blueprint(module.blueprint)
    handle_errors(app)
    return app
