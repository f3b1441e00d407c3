"""A job type's command line: a template of arguments becomes a list of arguments, never a string for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping

from scale_core.errors import Invalid, Problem

OUTPUT_DIRECTORY = "job_output_dir"
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_MARK = re.compile("\0([0-9]+)\0")


def placeholders(command_arguments: str) -> list[str]:
    """The names that the template refers to, in order, each once. Raises Invalid when the template cannot be read."""
    names = [_name(inner) for inner in _PLACEHOLDER.findall(command_arguments)]
    _template_words(command_arguments, names)
    return list(dict.fromkeys(names))


def render(
    command: str, command_arguments: str, values: Mapping[str, str], optional: Collection[str] = ()
) -> list[str]:
    """The argument list for a process: the words of `command`, then the rendered arguments.

    Quoting in the template follows POSIX shell rules. ``${NAME}`` and ``${FLAG:NAME}`` are replaced by values[NAME],
    which stays within its argument whatever it contains and is not looked at again. A name in `optional` without a
    value takes its flag with it, and the argument too if nothing else is in it.
    Raises Invalid for unknown names, unbalanced quotes and NUL characters, which no process can be given.
    """
    names = [_name(inner) for inner in _PLACEHOLDER.findall(command_arguments)]
    unknown = sorted({name for name in names if name not in values and name not in optional})
    if unknown:
        raise Invalid(
            problems=[Problem("command_arguments", f"${{{name}}} is not the name of an input") for name in unknown]
        )
    argv = _words(command, "command")
    for word in _template_words(command_arguments, values):
        argument = _MARK.sub(lambda mark: values.get(names[int(mark[1])], ""), word)
        if argument or not any(names[int(mark)] not in values for mark in _MARK.findall(word)):
            argv.append(argument)
    if any("\0" in argument for argument in argv):
        raise Invalid(problems=[Problem("command_arguments", "an argument may not contain a NUL character")])
    return argv


def _template_words(command_arguments: str, given: Collection[str]) -> list[str]:
    """The template's words with a mark, which no quoting rule can split, in place of each value."""
    if "\0" in command_arguments:
        raise Invalid(problems=[Problem("command_arguments", "may not contain a NUL character")])
    if "${" in _PLACEHOLDER.sub("", command_arguments):
        raise Invalid(problems=[Problem("command_arguments", "has ${ without its closing }")])
    count = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal count
        flag = match[1].rpartition(":")[0] if _name(match[1]) in given else ""
        count += 1
        return f"{flag}\0{count - 1}\0"

    return _words(_PLACEHOLDER.sub(mark, command_arguments), "command_arguments")


def _name(inner: str) -> str:
    return inner.rpartition(":")[2]


def _words(text: str, field: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Invalid(problems=[Problem(field, f"cannot be split into arguments: {str(error).lower()}")]) from None
