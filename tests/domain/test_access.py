from __future__ import annotations

import pytest

from scale_core.domain import sign_in
from scale_core.domain.access import Caller, Role, Via, check_scope, in_scope, is_within, least, own_path, parse_role
from scale_core.errors import Invalid


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("needed", Role)
def test_each_role_may_what_those_before_it_may(role: Role, needed: Role) -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    assert role.covers(needed) is (order.index(role) >= order.index(needed))
    assert least(role, needed) is min(role, needed, key=order.index)


def test_what_is_no_role() -> None:
    with pytest.raises(Invalid, match="viewer, operator, admin"):
        parse_role("root")


@pytest.mark.parametrize(
    ("scope", "method", "path", "allowed"),
    [
        ((), "POST", "/queue/new-job/", True),
        (("GET /jobs/",), "GET", "/jobs/", True),
        (("GET /jobs/",), "GET", "/jobs/5/", True),
        (("GET /jobs",), "GET", "/jobs/", True),
        (("GET /jobs",), "GET", "/jobs-of-others/", False),
        (("GET /jobs/",), "POST", "/jobs/", False),
        (("GET /jobs/",), "GET", "/", False),
        (("* /queue/", "GET /"), "POST", "/queue/new-job/", True),
        (("* /queue/", "GET /"), "GET", "/anything/", True),
        (("* /queue/", "GET /"), "PATCH", "/jobs/5/", False),
    ],
)
def test_scopes(scope: tuple[str, ...], method: str, path: str, allowed: bool) -> None:
    assert in_scope(check_scope(scope), method, path) is allowed
    assert Caller(Via.TOKEN, Role.ADMIN, scope=scope).may(Role.VIEWER, method, path) is allowed


@pytest.mark.parametrize(
    ("wanted", "scope", "within"),
    [
        ((), (), True),
        (("* /",), (), True),
        ((), ("GET /jobs/",), False),
        (("GET /jobs/",), ("GET /jobs/",), True),
        (("GET /jobs",), ("* /",), True),
        (("GET /jobs/5/",), ("GET /jobs/",), True),
        (("* /jobs/",), ("GET /jobs/",), False),
        (("* /jobs/",), ("* /jobs/", "GET /"), True),
        (("GET /",), ("GET /jobs/",), False),
        (("GET /jobs-of-others/",), ("GET /jobs",), False),
        (("GET /jobs/", "POST /tokens/"), ("* /jobs/", "* /queue/"), False),
    ],
)
def test_scopes_within_scopes(wanted: tuple[str, ...], scope: tuple[str, ...], within: bool) -> None:
    assert is_within(check_scope(wanted), check_scope(scope)) is within


@pytest.mark.parametrize(
    "entry", ["", "jobs", "GET jobs", "get /jobs/", "GET  /jobs/", "GET /jobs/\n", "TRACE /", "GET /*"]
)
def test_what_is_no_scope(entry: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_scope(["GET /jobs/", entry])
    assert caught.value.problems[0].path == "scope[1]"


@pytest.mark.parametrize("path", ["/", "/ui/", "/ui/#/jobs?status=FAILED&x=%0a", "/v3/docs/"])
def test_own_paths(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "", None, "ui/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example/",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1", "/\t/evil.example", " /ui/", "/ui\\..\\x", "/" + "a" * 3000,
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere(path: str | None) -> None:
    assert own_path(path) == "/"


def test_waits_begin_after_some_failures_and_have_an_end() -> None:
    waits = [sign_in.wait_s("account", failures) for failures in range(1, 100)]
    assert waits[:7] == [0, 0, 0, 0, 30, 60, 120]
    assert waits == sorted(waits)
    assert waits[-1] == sign_in.LONGEST_WAIT_S
    assert sign_in.wait_s("address", 29) == 0 < sign_in.wait_s("address", 30)


def test_failures_are_counted_by_name_and_by_network() -> None:
    assert sign_in.keys("Ann", "10.0.0.1") == {"account": "account ann", "address": "address 10.0.0.1"}
    first, second = sign_in.keys("a", "2001:db8::1:2"), sign_in.keys("a", "2001:db8::ffff")
    assert first == second
    assert first["address"] == "address 2001:db8::/64"
    assert sign_in.keys("a", "")["address"] == "address "
