"""The sans-IO core: what to send to EXBO, and what its answers mean. No I/O, no clock, no randomness.

For people who bring another HTTP library; the clients of this package stand on nothing else. `OAuthProtocol`
describes a call as an `Exchange`: send its `request`, give the `Response` to its `parse`.
"""

from .answers import MAX_BODY
from .authorization import parse_callback
from .exchange import Exchange, OAuthProtocol
from .messages import Headers, Request, Response
from .pkce import challenge_of, unguessable

__all__ = [
    "MAX_BODY",
    "Exchange",
    "Headers",
    "OAuthProtocol",
    "Request",
    "Response",
    "challenge_of",
    "parse_callback",
    "unguessable",
]
