"""Media types come from our own table."""

import pytest

from scale_core.domain import media_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", "application/json"),
        ("a.geojson", "application/vnd.geo+json"),
        ("A.H5", "image/x-hdf5-image"),
        ("a.ntf", "image/x-nitf-image"),
        ("a b.CSV", "text/csv"),
        ("a.tif", "image/tiff"),
        ("a.tiff", "image/tiff"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/x-tar"),
        ("dir.png/noextension", "application/octet-stream"),
        (".png", "application/octet-stream"),
        ("a.unheard_of", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_guess(name: str, expected: str) -> None:
    assert media_type.guess(name) == expected


def test_table_is_in_order_and_lower_case() -> None:
    assert list(media_type.MEDIA_TYPES) == sorted(media_type.MEDIA_TYPES)
    assert all(extension == extension.lower() and extension.startswith(".") for extension in media_type.MEDIA_TYPES)
