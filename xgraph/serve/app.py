"""The server: what it shows at which address, and whom it refuses.

Only programs on this machine reach it, but the browser is one that strangers' pages run in. So it
answers for its own address alone (a name that leads to 127.0.0.1 by a trick is not that), to no
other page, never writes, and every page says that it loads nothing from elsewhere.
"""

from __future__ import annotations

import os
import socket
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import Route

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.draw import page_of
from xgraph.draw.render import static as drawing_static
from xgraph.serve.found import Place
from xgraph.serve.runs import Runs

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST: Final = "127.0.0.1"
_OWN: Final = (
    "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DRAWING: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'wasm-unsafe-eval'; frame-ancestors 'none'; sandbox allow-scripts"
)
_REPORT: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "sandbox allow-downloads"
)
_POLICY: Final = "content-security-policy"
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_TYPES: Final = {"js": "text/javascript", "css": "text/css"}


def app(folder: Path, port: int) -> Starlette:
    """What answers at a port of this machine, of what a folder holds."""
    pages = _Pages(Place(folder))
    return Starlette(
        routes=[
            Route("/", pages.shell),
            Route("/run/{path:path}", pages.shell),
            Route("/network/{path:path}", pages.network),
            Route("/report/{path:path}", pages.report),
            Route("/data", pages.overview),
            Route("/data/{path:path}", pages.run),
            Route("/static/{name}", pages.static),
        ],
        middleware=[Middleware(Guard, port=port)],
        exception_handlers={DiagnosticError: _told},
    )


def listen(port: int) -> socket.socket:
    """A socket at a port of this machine, 0 for a free one; `DiagnosticError` if that fails."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise fail(
            "no-port", f"this port cannot be had: {(error.strerror or '').lower()}",
            origin=f"{HOST}:{port}", help="`--port 0` takes any that is free",
        ) from None  # fmt: skip


def serve(folder: Path, opened: socket.socket) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    config = uvicorn.Config(
        app(folder, opened.getsockname()[1]), http="h11", ws="none", lifespan="off",
        log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[opened])


@final
class Guard:
    """Refuses strangers and what is no reading, and says in every answer what a page may do."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        names = [f"{name}:{port}" for name in (HOST, "localhost", "[::1]")]
        self._hosts = {*names, *(name.removesuffix(":80") for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault(_POLICY, _OWN)
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, sealed)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("nothing is written here", 405, {"allow": "GET, HEAD"})
        if len(headers.getlist("host")) != 1 or headers["host"] not in self._hosts:
            return PlainTextResponse("this is not the address of this server", 403)
        if not {f"http://{host}" for host in self._hosts}.issuperset(headers.getlist("origin")):
            return PlainTextResponse("other pages get nothing here", 403)
        return None


@final
class _Pages:
    def __init__(self, place: Place) -> None:
        self._place, self._runs = place, Runs(place)

    def shell(self, request: Request) -> Response:
        """The page that fills itself with what `/data` tells."""
        return HTMLResponse(_static("page.html"))

    def overview(self, request: Request) -> Response:
        return JSONResponse(self._runs.overview())

    def run(self, request: Request) -> Response:
        return JSONResponse(self._runs.run(_path(request)))

    def network(self, request: Request) -> Response:
        """The drawing of a network or a space, or what is wrong with it."""
        path = self._place.file(_path(request))
        return HTMLResponse(page_of(path), headers={_POLICY: _DRAWING})

    def report(self, request: Request) -> Response:
        path = self._place.file(f"{_path(request)}/report.html")
        return FileResponse(path, headers={_POLICY: _REPORT}, media_type="text/html")

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == "drawing.css":  # the colours are those of the drawings
            return Response(drawing_static("page.css"), media_type="text/css")
        if name not in ("serve.js", "serve.css", "uplot.js", "uplot.css"):
            return PlainTextResponse("there is no such page", 404)
        return Response(_static(name), media_type=_TYPES[name.rpartition(".")[2]])


def _path(request: Request) -> str:
    """What stands behind the first part of an address; names are bytes, which need not be UTF-8."""
    return os.fsdecode(unquote_to_bytes(request.scope["raw_path"]).split(b"/", 2)[2])


def _static(name: str) -> str:
    return (files("xgraph.serve") / "static" / name).read_text("utf-8")


def _told(request: Request, error: Any) -> Response:
    """What is wrong, as a person would see it in the terminal."""
    gone = error.diagnostics[0].id in ("not-here", "no-run")
    return PlainTextResponse(str(error), 404 if gone else 422)
