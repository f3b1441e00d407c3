"""What browsers are told about every answer, so that nothing that is stored here can act in the name of its reader."""

from __future__ import annotations

from flask import Flask, Response, request

# Without exceptions: scripts and styles are files of our own. Images may also be data, as in styles of Swagger UI.
PAGES = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
DATA = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
FILES = f"{DATA}; sandbox"
YEAR_S = 365 * 24 * 3600
_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def init_app(app: Flask) -> None:
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in _DEFAULTS.items():
        response.headers.setdefault(name, value)
    policy = PAGES if response.mimetype == "text/html" else DATA
    response.headers.setdefault("Content-Security-Policy", policy)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR_S}")
    if "Cache-Control" not in response.headers:  # a proxy must not give one person's answer to another
        response.headers["Cache-Control"] = "private, no-cache"
    return response
