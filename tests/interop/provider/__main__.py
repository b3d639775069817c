"""Make the tables, an application and a user; serve until standard input ends."""

import json
import os
import sys
from threading import Thread

REDIRECT_URI = "http://127.0.0.1:9999/callback"
CLIENT_SECRET = "a secret with söme / odd + characters & more: 100%"
LOGIN, PASSWORD = "ivan", "correct horse"


def main(folder: str) -> None:
    os.environ["PROVIDER_FOLDER"] = folder
    os.environ["DJANGO_SETTINGS_MODULE"] = "provider.settings"

    import django

    django.setup()

    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from oauth2_provider.models import get_application_model

    call_command("migrate", run_syncdb=True, verbosity=0)
    get_user_model().objects.create_user(LOGIN, password=PASSWORD)
    model = get_application_model()
    application = model.objects.create(
        name="Our application",
        client_secret=CLIENT_SECRET,
        client_type=model.CLIENT_CONFIDENTIAL,
        authorization_grant_type=model.GRANT_AUTHORIZATION_CODE,
        redirect_uris=REDIRECT_URI,
    )

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            """The suite says what went wrong."""

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    Thread(target=server.serve_forever, daemon=True).start()
    about = {
        "base_url": f"http://127.0.0.1:{server.server_port}/oauth",
        "client_id": application.client_id,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": REDIRECT_URI,
        "login": LOGIN,
        "password": PASSWORD,
    }
    print(json.dumps(about), flush=True)
    sys.stdin.read()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main(sys.argv[1])
