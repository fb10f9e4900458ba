import importlib
import io
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import formats
from pipeline.data.formats import FORMATS, SUFFIXES, TABLES, delimited, find_format
from pipeline.data.formats.rows import Reject, Row

NAMES = [module.name for module in pkgutil.iter_modules(formats.__path__, f"{formats.__name__}.")]


def test_each_file_with_a_reader_is_known():
    readers = {name for name in NAMES if hasattr(importlib.import_module(name), "read")}
    known = {getattr(form.read, "func", form.read).__module__ for form in FORMATS}
    assert readers == known and len(known) > 4


def test_a_suffix_means_one_format():
    assert len(set(SUFFIXES)) == len(SUFFIXES) and set(TABLES) < set(SUFFIXES)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.suffixes[0])
def test_a_format_is_found_by_its_suffix_in_any_case_and_compressed(form):
    for suffix in form.suffixes:
        assert {find_format(f"soup{end}") for end in (suffix, suffix.upper(), f"{suffix}.gz")} == {form}


@pytest.mark.parametrize("name", ["soup", "soup.pdf", "soup.gz", "txt", "soup.csv.bak"])
def test_other_names_have_no_format(name):
    assert find_format(name) is None


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.suffixes[0])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_rows_and_rejects_or_refused_with_the_reason(form, content):
    try:
        assert all(isinstance(row, Row | Reject) for row in form.read(io.BytesIO(content), "soup"))
    except ValueError as error:
        assert str(error)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_what_was_written_as_utf8_comes_back(text):
    content = f'id,text\na,"{text.replace(chr(34), chr(34) * 2)}"\n'.encode()
    (row,) = delimited.read(io.BytesIO(content), "soup.csv")
    assert row == Row("soup.csv:2", {"id": "a", "text": text})
