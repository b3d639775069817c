"""The sans-IO core."""

from .messages import Headers, Request, Response

__all__ = ["Headers", "Request", "Response"]
