import pytest

from pipeline.errors import InputError, InputErrors, raise_problems


def test_an_input_error_says_where_what_expected_and_next():
    error = InputError("tea.csv:3", "no kettle", expected="a kettle", then="boil water")
    assert str(error) == "tea.csv:3: no kettle; expected a kettle; boil water"


def test_parts_that_are_not_there_leave_no_trace():
    assert str(InputError("tea.csv", "is cold")) == "tea.csv: is cold"


def test_an_input_error_is_one_line_whatever_it_quotes():
    assert str(InputError("talks.yaml", "is\n  no\tYAML")) == "talks.yaml: is no YAML"


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


def test_several_problems_are_a_line_each():
    assert str(InputErrors(["a:1: late", "a:2: later"])) == "a:1: late\na:2: later"


def test_several_problems_are_caught_as_one_input_error():
    with pytest.raises(InputError):
        raise InputErrors(["a:1: late"])


def test_the_place_of_several_problems_is_that_of_the_first():
    error = InputErrors(["a.jsonl: late", "b.jsonl: later"])
    assert (error.where, error.what) == ("a.jsonl", "late")


def test_beyond_twenty_problems_the_rest_are_counted():
    lines = str(InputErrors([f"a:{n}: late" for n in range(25)])).splitlines()
    assert lines[19:] == ["a:19: late", "... and 5 more"]


def test_twenty_problems_are_all_told():
    assert str(InputErrors([f"a:{n}: late" for n in range(20)])).splitlines()[-1] == "a:19: late"


def test_no_problem_raises_nothing():
    assert raise_problems([]) is None


def test_a_problem_is_raised():
    with pytest.raises(InputErrors, match="a:1: late"):
        raise_problems(["a:1: late"])
