"""Command templates: what a process is given, argument by argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_core.domain import command
from scale_core.errors import Invalid


@pytest.mark.parametrize(
    ("template", "values", "argv"),
    [
        ("", {}, []),
        ("${a} ${b}", {"a": "1", "b": "2"}, ["1", "2"]),
        ("${Strike ID}", {"Strike ID": "7"}, ["7"]),
        ("${-i :Strike ID}", {"Strike ID": "7"}, ["-i", "7"]),
        ("${--f=:p}", {"p": "Q"}, ["--f=Q"]),
        ("${-x a:b:p}", {"p": "Q"}, ["-x", "a:bQ"]),
        ("x${p}y${p}", {"p": "-"}, ["x-y-"]),
        ("${job_output_dir}", {"job_output_dir": "/scale/output_data"}, ["/scale/output_data"]),
        ("'a b' \"${p} c\" d\\ e", {"p": "1 2"}, ["a b", "1 2 c", "d e"]),
        ("'${p}' \"${-i :p}\"", {"p": "x"}, ["x", "-i x"]),
        ("'' ${p}", {"p": ""}, ["", ""]),
        ("# ${p} $(reboot) ; rm", {"p": "1"}, ["#", "1", "$(reboot)", ";", "rm"]),
        ("$p $ {p}", {}, ["$p", "$", "{p}"]),
        ("${p}", {"p": "${p} ${q}"}, ["${p} ${q}"]),
        ("${p}${q}", {"p": "${", "q": "p}"}, ["${p}"]),
    ],
)
def test_render(template: str, values: dict[str, str], argv: list[str]) -> None:
    assert command.render("", template, values) == argv


@pytest.mark.parametrize(
    ("template", "argv"),
    [
        ("${p}", []),
        ("a ${-i :p} b", ["a", "b"]),
        ("${--flag=:p} ${q}", ["Q"]),
        ("pre${p}post", ["prepost"]),
        ('"${p}" ""', [""]),
        ("${p}${q}", ["Q"]),
    ],
)
def test_optional_input_not_given_vanishes_with_its_flag(template: str, argv: list[str]) -> None:
    assert command.render("", template, {"q": "Q"}, optional=["p", "q"]) == argv


def test_the_command_is_split_but_not_substituted() -> None:
    assert command.render("python '/opt/my alg.py' ${p}", "${p}", {"p": "1"}) == [
        "python",
        "/opt/my alg.py",
        "${p}",
        "1",
    ]


@pytest.mark.parametrize(
    ("program", "template", "values"),
    [
        ("x", "${unknown}", {}),
        ("x", "${}", {}),
        ("x", "'unbalanced", {}),
        ("x 'unbalanced", "", {}),
        ("x", "${-f ':p}", {"p": "1"}),
        ("x", "${never closed", {}),
        ("x", "${p}", {"p": "a\0b"}),
        ("x", "\0000\0 ${p}", {"p": "1"}),
        ("x\0", "", {}),
    ],
)
def test_refused(program: str, template: str, values: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        command.render(program, template, values)
    assert refusal.value.problems


def test_placeholders() -> None:
    assert command.placeholders("${-i :Strike ID} '${b}' ${a:b} ${job_output_dir}") == [
        "Strike ID",
        "b",
        "job_output_dir",
    ]
    assert command.placeholders("none $here") == []
    with pytest.raises(Invalid):
        command.placeholders("${a")
    with pytest.raises(Invalid):
        command.placeholders("'${a}")


@given(st.text(), st.text())
def test_a_value_stays_in_its_argument(first: str, second: str) -> None:
    values = {"a": first.replace("\0", ""), "b": second.replace("\0", "")}
    argv = command.render("run", "${a} --b=${b} '${a}' ${-x :b}", values)
    assert argv == ["run", values["a"], f"--b={values['b']}", values["a"], "-x", values["b"]]
