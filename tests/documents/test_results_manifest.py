"""Results manifests of both versions, as algorithms write them well and badly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_core.documents import results_manifest
from scale_core.errors import Invalid

POINT = {"type": "Point", "coordinates": [1.0, 2.0, 3.0]}


def problems(document: Any) -> dict[str, str]:
    content = document if isinstance(document, bytes) else json.dumps(document)
    with pytest.raises(Invalid) as refusal:
        results_manifest.parse(content)
    return {problem.path: problem.message for problem in refusal.value.problems}


def test_latest_version() -> None:
    document = {
        "version": "1.1",
        "output_data": [
            {"name": "one", "file": {"path": "a", "geo_metadata": {"geo_json": POINT, "more": 1}}, "extra": 1},
            {"name": "many", "files": [{"path": "b"}, {"path": "c"}]},
        ],
        "parse_results": [
            {
                "filename": "in.h5",
                "new_workspace_path": "parsed",
                "data_types": ["H5", "VEG"],
                "geo_metadata": {"data_started": "2015-05-15T10:34:12Z", "data_ended": "2015-05-15T12:36:12+02:00"},
            }
        ],
        "info": {"a": 1},
        "errors": {},
    }
    assert results_manifest.parse(json.dumps(document)) == {
        "version": "1.1",
        "output_data": [
            {
                "name": "one",
                "file": {"path": "a", "geo_metadata": {"data_started": None, "data_ended": None, "geo_json": POINT}},
            },
            {"name": "many", "files": [{"path": "b", "geo_metadata": None}, {"path": "c", "geo_metadata": None}]},
        ],
        "parse_results": [
            {
                "filename": "in.h5",
                "data_types": ["H5", "VEG"],
                "geo_metadata": {
                    "data_started": "2015-05-15T10:34:12Z",
                    "data_ended": "2015-05-15T10:36:12Z",
                    "geo_json": None,
                },
                "new_workspace_path": "parsed",
                "gis_data_path": None,
            }
        ],
        "info": {"a": 1},
        "errors": {},
    }


OLD = {
    "files": [{"name": "one", "path": "a"}, {"name": "many", "paths": ["b", "c"]}],
    "parse_results": [
        {"filename": "in", "data_started": "2015-05-15T10:34:12", "data_types": ["H5"], "gis_data_path": "x.geojson"}
    ],
}


@pytest.mark.parametrize("version", [{"version": "1.0"}, {"version": None}, {}])
def test_old_version_keeps_times_and_gis_data_path(version: dict[str, Any]) -> None:
    manifest = results_manifest.load({**version, **OLD})
    assert manifest["version"] == "1.1"
    assert manifest["output_data"] == [
        {"name": "one", "file": {"path": "a", "geo_metadata": None}},
        {"name": "many", "files": [{"path": "b", "geo_metadata": None}, {"path": "c", "geo_metadata": None}]},
    ]
    assert manifest["parse_results"] == [
        {
            "filename": "in",
            "data_types": ["H5"],
            "geo_metadata": {"data_started": "2015-05-15T10:34:12Z", "data_ended": None, "geo_json": None},
            "new_workspace_path": None,
            "gis_data_path": "x.geojson",
        }
    ]


def test_without_version_the_latest_is_meant() -> None:
    assert results_manifest.empty() == {
        "version": "1.1",
        "output_data": [],
        "parse_results": [],
        "info": {},
        "errors": {},
    }
    assert problems({"files": [{"name": "a"}]}).keys() == {"files"}


def test_what_is_loaded_loads_again() -> None:
    manifest = results_manifest.load(OLD)
    assert results_manifest.load(manifest) == manifest


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        (b"{nonsense", ""),
        (b"", ""),
        (b"\xff\xfe{}", ""),
        (b'{"info": {"a": NaN}}', ""),
        (b'{"info": {"a": -Infinity}}', ""),
        (b'{"info": {"a": 1e999}}', ""),
        (b'{"info": "\\u0000"}', ""),
        (b'{"info": {"\\ud800": 1}}', ""),
        (b'{"info": ' + b"9" * 5000 + b"}", ""),
        (b"[" * 100_000, ""),
        (b'{"info": ' + b"[" * 200 + b"]" * 200 + b"}", ""),
        ({"version": "2.0"}, "version"),
        ({"version": 1.1}, "version"),
        ({"version": {"a": 1}}, "version"),
        ({"surprise": 1}, "surprise"),
        ({"output_data": {}}, "output_data"),
        ({"output_data": [1]}, "output_data[0]"),
        ({"output_data": [{"file": {"path": "a"}}]}, "output_data[0].name"),
        ({"output_data": [{"name": "a"}]}, "output_data[0]"),
        ({"output_data": [{"name": "a", "file": {"path": "a"}, "files": []}]}, "output_data[0]"),
        ({"output_data": [{"name": "a", "file": {}}]}, "output_data[0].file.path"),
        ({"output_data": [{"name": "a", "file": {"path": ""}}]}, "output_data[0].file.path"),
        ({"output_data": [{"name": "a", "files": [{"path": 1}]}]}, "output_data[0].files[0].path"),
        (
            {"output_data": [{"name": "a", "file": {"path": "b", "geo_metadata": {"geo_json": "x"}}}]},
            "output_data[0].file.geo_metadata.geo_json",
        ),
        ({"output_data": [{"name": "a", "files": []}, {"name": "a", "files": []}]}, "output_data"),
        ({"version": "1.0", "files": [{"name": "a"}]}, "files[0]"),
        ({"version": "1.0", "files": [{"name": "a", "path": "b", "paths": []}]}, "files[0]"),
        ({"version": "1.0", "output_data": []}, "output_data"),
        ({"parse_results": [{}]}, "parse_results[0].filename"),
        ({"parse_results": [{"filename": "a"}, {"filename": "a"}]}, "parse_results"),
        ({"parse_results": [{"filename": "a", "data_started": "soon"}]}, "parse_results[0].data_started"),
        (
            {"parse_results": [{"filename": "a", "geo_metadata": {"data_ended": "2015-99-01T00:00:00Z"}}]},
            "parse_results[0].geo_metadata.data_ended",
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_refused(document: Any, path: str) -> None:
    assert path in problems(document)


def test_all_problems_at_once() -> None:
    found = problems({"output_data": [{"name": 1}, {"files": [{}]}], "extra": 1})
    assert found.keys() >= {"output_data[0].name", "output_data[1].name", "output_data[1].files[0].path", "extra"}


def test_size_limit() -> None:
    assert "MiB" in problems(b" " * (results_manifest.MAX_BYTES + 1))[""]


FIELD = st.sampled_from(
    ["version", "output_data", "name", "file", "files", "path", "paths", "geo_metadata", "parse_results", "filename"]
) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD, inner, max_size=4),
)


@given(st.dictionaries(FIELD, JSON))
def test_anything_else_is_refused_politely(document: Any) -> None:
    content = json.dumps(document)
    try:
        version = results_manifest.parse(content)["version"]
    except Invalid as refusal:
        version = "refused" if refusal.problems else "refused without a reason"
    assert version in ("1.1", "refused")


def test_a_manifest_of_a_million_positions_is_refused_before_it_is_parsed() -> None:
    content = b'{"parse_results": [' + b"[1.0,2.0]," * 1_000_000 + b"1]}"
    assert problems(content) == {"": "has more than 500000 lists: simplify its footprints"}
