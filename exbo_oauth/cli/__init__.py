"""The command line: ``exbo-oauth``, or ``python -m exbo_oauth``. Needs the extra ``cli``.

One module a command or a family of them; each imports what it needs when it runs, so that ``exbo-oauth token`` with
a fresh token in the store loads neither an HTTP library nor a table renderer. Nothing here is public Python API:
the commands are.
"""
