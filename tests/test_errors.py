import pytest
from refusals import refused

from pipeline.errors import InputError, InputErrors, raise_problems


@pytest.mark.parametrize(
    ("what", "more", "line"),
    [
        ("no kettle", {"expected": "a kettle", "then": "boil water"}, "no kettle; expected a kettle; boil water"),
        ("is cold", {}, "is cold"),
        ("is\n  no\ttea", {}, "is no tea"),
    ],
)
def test_an_input_error_is_one_line_of_the_parts_that_are_there(what, more, line):
    assert str(InputError("tea.csv:3", what, **more)) == f"tea.csv:3: {line}"


def test_an_input_error_keeps_where_and_what_apart():
    error = InputError("tea.csv:3", "no kettle")
    assert (error.where, error.what, error.expected, error.then) == ("tea.csv:3", "no kettle", "", "")


def test_several_problems_have_the_fields_of_the_first():
    first = InputError("tea.csv:3", "no kettle: none", expected="a kettle", then="boil water")
    error = InputErrors([first, "tea.csv:4: cold"])
    assert [error.where, error.what, error.expected, error.then] == [
        first.where, first.what, first.expected, first.then
    ]  # fmt: skip
    assert str(error).splitlines() == [str(first), "tea.csv:4: cold"] and error.problems[0] is first


def test_several_problems_are_a_line_each_and_the_place_is_that_of_the_first():
    error = InputErrors(["a.jsonl: late", "b.jsonl: later"])
    assert (error.where, error.what, str(error)) == ("a.jsonl", "late", "a.jsonl: late\nb.jsonl: later")


@pytest.mark.parametrize(("number", "last"), [(20, ["a:19: late"]), (25, ["a:19: late", "... and 5 more"])])
def test_beyond_twenty_problems_the_rest_are_counted(number, last):
    assert str(InputErrors([f"a:{n}: late" for n in range(number)])).splitlines()[19:] == last


def test_problems_are_raised_and_no_problem_raises_nothing():
    assert raise_problems([]) is None
    assert refused(raise_problems, ["a:1: late"]).problems == ["a:1: late"]
