"""Error numbers that http-parser's pure Python parser had; pymesos looks for one of them."""

INVALID_CHUNK = 2
