"""Gzip for answers that are worth it, to clients that take it."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_compress import Compress

ALGORITHM = "gzip"


def init_app(app: Flask) -> None:
    app.config.update(
        COMPRESS_ALGORITHM=[ALGORITHM],
        COMPRESS_LEVEL=4,  # a higher one takes longer than the network that it saves
        COMPRESS_MIN_SIZE=1400,  # what fits into one packet anyway
        COMPRESS_STREAMS=False,  # downloads keep their length and their ranges
        COMPRESS_REGISTER=False,
    )
    compress = Compress(app)

    @app.after_request
    def finish(response: Response) -> Response:
        # Flask-Compress takes ``gzip;q=0`` for a wish; it is a refusal (RFC 9110, 12.5.3)
        if request.accept_encodings.quality(ALGORITHM) > 0:
            return compress.after_request(response)
        response.vary.add("Accept-Encoding")
        return response
