"""Media types by file extension, from a table of our own: the same on every machine, whatever its mime.types says."""

from __future__ import annotations

from pathlib import PurePosixPath

UNKNOWN = "application/octet-stream"

MEDIA_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".avi": "video/x-msvideo",
    ".bmp": "image/bmp",
    ".bz2": "application/x-bzip2",
    ".css": "text/css",
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".fits": "image/fits",
    ".geojson": "application/vnd.geo+json",
    ".gif": "image/gif",
    ".gml": "application/gml+xml",
    ".gpkg": "application/geopackage+sqlite3",
    ".gz": "application/gzip",
    ".h5": "image/x-hdf5-image",
    ".htm": "text/html",
    ".html": "text/html",
    ".jp2": "image/jp2",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".kmz": "application/vnd.google-earth.kmz",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".nc": "application/x-netcdf",
    ".nitf": "image/x-nitf-image",
    ".nsf": "image/x-nitf-image",
    ".ntf": "image/x-nitf-image",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".tgz": "application/x-tar",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".wav": "audio/x-wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}


def guess(file_name: str) -> str:
    """The media type for a file's name; application/octet-stream when its extension says nothing."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(file_name).suffixes]
    if not suffixes:
        return UNKNOWN
    if len(suffixes) > 1 and suffixes[-2] == ".tar":
        return MEDIA_TYPES[".tar"]
    return MEDIA_TYPES.get(suffixes[-1], UNKNOWN)
