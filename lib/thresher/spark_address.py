"""Addresses of Spark Connect servers, `sc://host:port/;name=value;…`, and the token that nothing may show."""

import os
import re
import socket
from urllib.parse import unquote, urlsplit

from thresher.errors import EngineUnavailable

TOKEN_VARIABLE = "SPARK_CONNECT_AUTHENTICATE_TOKEN"
"""Where PySpark looks for the token of a server whose address has none."""


_DEFAULT_PORT = 15002
_ANSWER_LIMIT_S = 10
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # as gRPC reads them


def without_token(engine: str) -> str:
    """The name of an engine as it may be shown: an address without its token.

    >>> without_token("sc://spark.example:443/;token=abc;user_id=etl")
    'sc://spark.example:443/;user_id=etl'
    >>> without_token("duckdb")
    'duckdb'
    """
    return re.sub(r";token(=[^;]*)?(?=;|$)", "", engine) if engine.startswith("sc://") else engine


def take_token(engine: str) -> str:
    """`without_token`, where the token goes into the environment: for PySpark, and for the processes of a run."""
    shown = without_token(engine)
    found = re.search(r";token=([^;]+)", engine) if shown != engine else None
    if found:
        os.environ[TOKEN_VARIABLE] = unquote(found[1])
    return shown


def check_answers(address: str) -> None:
    """Raise EngineUnavailable, after ten seconds at most, where nobody takes connections at a server's address.

    Behind a proxy, which only gRPC knows to ask, nothing is tried.
    """
    if any(os.environ.get(name) for name in _PROXIES):
        return
    try:
        parts = urlsplit(address)
        place = parts.hostname or "", parts.port or _DEFAULT_PORT
        socket.create_connection(place, timeout=_ANSWER_LIMIT_S).close()
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"engine {without_token(address)}: no Spark Connect server answers ({error}); expected sc://host:port, by "
            f"default port {_DEFAULT_PORT}. Is it running, and can this machine reach it?"
        ) from None
