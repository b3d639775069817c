"""A Django site with django-oauth-toolkit: an OAuth server by other people, to hold our clients against.

``python -m provider FOLDER`` in this directory serves it on a free loopback port, prints one line of JSON (where it is
and who may use it) and ends when its standard input does. Its own parts are three: EXBO's three paths, EXBO's
``/oauth/user`` answer, and one application that may use all three grants.
"""
