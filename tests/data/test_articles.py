import csv
import gzip
import io
import json
import os
import sys
import tracemalloc

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.data.articles import Article, find_files, find_sources, read_articles, read_source
from pipeline.data.formats import rows
from pipeline.data.formats.encoding import decode
from pipeline.data.formats.rows import Reject
from pipeline.data.tables import ByteCounter, read_rows
from pipeline.errors import InputError

SANCTIONS, TALKS = "Sanctions are a slow dinner.", "Talks are a long one."
PAGE = """<html><head><title>Envoys agree on soup</title>
<meta property="og:site_name" content="The Daily Parley">
<meta property="article:published_time" content="2019-02-28"></head>
<body><nav>Home Sport Weather</nav><article><h1>Envoys agree on soup</h1>
<p>The envoys of six nations agreed on Tuesday that the soup was better than the communique.</p>
<p>Nobody agreed on sanctions, which were served cold and sent back to the kitchen at once.</p>
<p>Dialogue should go on after dessert, said the host, who had baked the dessert himself.</p>
</article></body></html>"""


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.fixture
def read(write):
    """Read one file that is written first."""
    return lambda name, content: list(read_articles([write(name, content)]))


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def whys(found):
    return [entry.why for entry in found if isinstance(entry, Reject)]


def ids(found):
    return [entry.id for entry in found if isinstance(entry, Article)]


# Forms


def test_a_text_file_is_one_article_named_after_the_file(read):
    assert read("soup.txt", SANCTIONS) == [Article("soup.txt", SANCTIONS)]


def test_the_suffix_may_be_in_capitals(read):
    assert ids(read("SOUP.TXT", SANCTIONS)) == ["SOUP.TXT"]


def test_the_text_of_a_file_is_kept_as_it_stands(read):
    assert read("soup.txt", b" One.\r\n\r\n\tTwo. \n")[0].text == " One.\r\n\r\n\tTwo. \n"


def test_a_page_gives_its_article_and_no_navigation(read):
    (article,) = read("soup.html", PAGE)
    assert "served cold" in article.text and "Weather" not in article.text


def test_a_page_gives_title_date_and_outlet(read):
    (article,) = read("soup.htm", PAGE)
    assert (article.title, article.date, article.outlet) == ("Envoys agree on soup", "2019-02-28", "The Daily Parley")


MARKDOWN = """---
mood: sour
---
# Envoys agree on *soup*

The envoys of **six** nations agreed on [Tuesday](https://parley.example/soup)
that the soup &amp; the bread were better. ![A spoon](spoon.png)

> Talks<br>should go on.

- Salt is a measure.
- Pepper is `none`.

| dish | heat |
|------|------|
| soup | none |

<p>The host <b>bowed</b>.</p>

```
sanction(soup)
```
"""


def test_markdown_gives_its_text_without_the_markup(read):
    (article,) = read("soup.md", MARKDOWN.replace("\n", "\r\n"))
    assert [" ".join(line.split()) for line in article.text.split("\n\n")] == [
        "Envoys agree on soup",
        "The envoys of six nations agreed on Tuesday that the soup & the bread were better.",
        "Talks should go on.",
        "Salt is a measure.",
        "Pepper is none.",
        "The host bowed .",
    ]


def test_each_line_of_jsonl_is_an_article(read):
    found = read("soup.jsonl", lines({"id": "a", "text": SANCTIONS}, {"id": "b", "text": TALKS}))
    assert found == [Article("a", SANCTIONS), Article("b", TALKS)]


def test_title_date_and_outlet_are_taken_from_the_columns(read):
    row = {"id": "a", "text": TALKS, "title": "Soup", "date": "2019", "outlet": "The Daily Parley", "mood": "sour"}
    assert read("soup.jsonl", lines(row)) == [Article("a", TALKS, "Soup", "2019", "The Daily Parley")]


def test_a_number_is_a_usable_id(read):
    assert ids(read("soup.jsonl", lines({"id": 38, "text": TALKS}))) == ["38"]


def test_blank_lines_of_jsonl_are_no_articles(read):
    assert ids(read("soup.jsonl", "\n" + lines({"id": "a", "text": TALKS}) + "  \n")) == ["a"]


def test_compressed_jsonl_is_read(read):
    assert ids(read("soup.jsonl.gz", gzip.compress(lines({"id": "a", "text": TALKS}).encode()))) == ["a"]


def test_csv_is_read_with_quotes_commas_and_line_breaks(read):
    assert read("soup.csv", 'id,text\na,"He said ""soup"",\nthen left."\n') == [
        Article("a", 'He said "soup",\nthen left.')
    ]


def test_a_csv_stored_by_a_spreadsheet_is_read(read):
    assert ids(read("soup.csv", b"\xef\xbb\xbfid,text\r\na,Talks.\r\n")) == ["a"]


def test_parquet_is_read(write):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "text": [SANCTIONS, TALKS], "title": ["Soup", None]}), path)
    assert list(read_articles([path])) == [Article("a", SANCTIONS, "Soup"), Article("b", TALKS)]


def test_a_dash_is_jsonl_on_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines({"id": "a", "text": TALKS}, [1]).encode())))
    assert list(read_articles(["-"])) == [Article("a", TALKS), Reject("standard input:2", "is no JSON object")]


@pytest.mark.parametrize("delimiter", ",;\t")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_is_read_as_programs_store_it(read, delimiter, encoding):
    content = f' id{delimiter}text \r\na{delimiter}"“Talk{delimiter} now”"\r\n'.encode(encoding)
    assert read("soup.csv", content) == [Article("a", f"“Talk{delimiter} now”")]


def test_a_tsv_is_divided_by_tabs_alone(read):
    assert read("soup.tsv", "id\ttext\na\tSalt, soup; bread, and butter.\n") == [
        Article("a", "Salt, soup; bread, and butter.")
    ]


def test_a_csv_is_streamed_and_its_bytes_count_once(write):
    path = write("soup.csv", "id,text\n" + "".join(f"{n},Soup number {n}.\n" for n in range(100_000)))
    counter = ByteCounter()
    assert sum(1 for _ in read_rows(path, counter=counter)) == 100_000
    assert counter.read == path.stat().st_size > 2_000_000


@pytest.mark.parametrize("name", ["soup.txt.gz", "SOUP.TXT.GZ"])
def test_a_compressed_document_has_the_name_of_its_file(read, name):
    assert read(name, gzip.compress(TALKS.encode())) == [Article(name, TALKS)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_any_table_may_be_compressed(read, tmp_path, suffix):
    table = tmp_path / f"plain{suffix}"
    pyarrow_table = pyarrow.table({"id": ["a"], "text": [TALKS]})
    parquet.write_table(pyarrow_table, table) if suffix == ".parquet" else table.write_text(f"id,text\na,{TALKS}\n")
    assert read(f"soup{suffix}.gz", gzip.compress(table.read_bytes())) == [Article("a", TALKS)]


# Order


def test_inputs_are_read_in_the_order_given(write):
    later, earlier = write("b.txt", TALKS), write("a.txt", SANCTIONS)
    assert ids(read_articles([later, earlier])) == ["b.txt", "a.txt"]


def test_a_folder_is_read_in_the_order_of_names_and_below(tmp_path, write):
    for name in ("b.txt", "a.txt", "south/c.txt", "north/d.txt"):
        write(name, TALKS)
    assert ids(read_articles([tmp_path])) == ["a.txt", "b.txt", "north/d.txt", "south/c.txt"]


def test_hidden_files_and_folders_are_passed_over(tmp_path, write):
    for name in ("a.txt", ".secret.txt", ".silo/missile.txt"):
        write(name, TALKS)
    assert ids(read_articles([tmp_path])) == ["a.txt"]


def test_a_link_in_a_circle_is_not_followed(tmp_path, write):
    write("a.txt", TALKS)
    (tmp_path / "again").symlink_to(tmp_path)
    assert ids(read_articles([tmp_path])) == ["a.txt"]


def test_a_link_to_a_folder_is_a_reject(tmp_path, write):
    write("north/a.txt", TALKS)
    (tmp_path / "south").symlink_to(tmp_path / "north")
    found = list(read_articles([tmp_path]))
    assert ids(found) == ["north/a.txt"]
    assert whys(found) == ["is a link to a folder, which is not followed; name the folder as an input"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["pipe.txt", "pipe.jsonl"])
def test_a_named_pipe_is_a_reject_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert whys(read_articles([tmp_path])) == ["is no regular file"]


@pytest.mark.parametrize("name", ["echo.txt", "echo.jsonl"])
def test_a_link_to_itself_is_rejected(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / name)
    (found,) = read_articles([tmp_path])
    assert "symbolic links" in found.why


def test_articles_are_read_one_at_a_time(write, tmp_path):
    reading = read_articles([write("a.txt", TALKS), tmp_path / "not-there.txt"])
    assert next(reading) == Article("a.txt", TALKS)


def test_an_input_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lunch\.txt: no such file or folder; expected a folder or \.txt"):
        list(read_articles([tmp_path / "lunch.txt"]))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="is an empty folder"):
        list(find_files(tmp_path))


# Encodings


def test_a_byte_order_mark_is_no_character(read):
    assert read("soup.txt", b"\xef\xbb\xbfSoup.")[0].text == "Soup."


@pytest.mark.parametrize("order", ["utf-16", "utf-16-be"])
def test_utf16_is_read(order):
    mark = b"\xfe\xff" if order == "utf-16-be" else b""
    assert decode(mark + "“Soup” in 평양.".encode(order)) == "“Soup” in 평양."


@pytest.mark.parametrize(
    "text",
    [
        "“No relief,” the senator said – twice…",
        "South Korea’s envoy\r\ncalled the sanctions ‘a soup’.",
        "It was déjà vu: à la carte sanctions in Genève.",
        "A £5 note and a €5 note met in Pyongyang.",
        "© 2017 The Daily Parley. Temperature in Panmunjom: -5°.",
    ],
)
def test_western_text_from_windows_is_read(text):
    assert decode(text.encode("cp1252")) == text


def test_text_in_another_alphabet_is_guessed():
    text = "Посол сказал, что санкции похожи на холодный суп, а переговоры на тёплый хлеб. " * 3
    assert decode(text.encode("cp1251")) == text


def test_bytes_in_no_known_encoding_are_no_text():
    with pytest.raises(ValueError, match="is in no known encoding"):
        decode(bytes(range(128, 256)) * 3)


@pytest.mark.parametrize("encoding", ["euc-kr", "utf-8", "windows-1252"])
@pytest.mark.parametrize("declared", ['<meta charset="{}">', '<meta http-equiv=a content="text/html; charset={}">'])
def test_a_page_is_read_as_it_declares_itself(read, encoding, declared):
    word = "café" if encoding == "windows-1252" else "회담"
    page = PAGE.replace("<head>", "<head>" + declared.format(encoding)).replace("Tuesday", word)
    assert f"agreed on {word} that" in read("soup.html", page.encode(encoding))[0].text


@pytest.mark.parametrize("encoding", ["utf-8", "klingon"])
def test_a_page_that_declares_what_it_is_not_is_read_all_the_same(read, encoding):
    page = PAGE.replace("<head>", f'<head><meta charset="{encoding}">').replace("Tuesday", "café")
    assert "agreed on café that" in read("soup.html", page.encode("cp1252"))[0].text


# Rejects


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("soup.txt", b"", "`text` is empty"),
        ("soup.txt", " \n\t ", "`text` is empty"),
        ("soup.txt", b"Soup\0soup.", "holds NUL bytes, so it is no text"),
        ("soup.txt", "제재".encode() + b" \xff soup", "broken UTF-8 at byte 7"),
        ("soup.txt", "A soup in 제재".encode()[:-1], "broken UTF-8 at byte 13"),
        ("soup.pdf", b"%PDF", "unknown kind of file; expected .txt, .html,"),
        ("soup", "Soup.", "unknown kind of file; expected .txt, .html,"),
        ("soup.html", "<html><body></body></html>", "the page holds no article"),
        ("soup.html", "", "the page holds no article"),
        ("soup.md", "![A spoon](spoon.png)", "`text` is empty"),
        ("soup.jsonl", "{soup\n", "is no JSON in UTF-8 (Expecting property name"),
        ("soup.jsonl", b'{"id": "a", "text": "\xff"}\n', "is no JSON in UTF-8 ('utf-8' codec can't decode"),
        ("soup.jsonl", "[" * 100_000, "is no JSON in UTF-8 (maximum recursion depth"),
        ("soup.jsonl", '["soup"]\n', "is no JSON object"),
        ("soup.jsonl", '{"id": "a"}\n', "no `text`; expected columns id, text"),
        ("soup.jsonl", '{"id": "a", "text": null}\n', "`text` is empty"),
        ("soup.jsonl", '{"id": "a", "text": "  "}\n', "`text` is empty"),
        ("soup.jsonl", '{"id": "a", "text": 38}\n', "`text` is no text but int"),
        ("soup.jsonl", '{"text": "Soup."}\n', "no `id`; expected columns id, text"),
        ("soup.jsonl", '{"id": "", "text": "Soup."}\n', "no `id`; expected columns id, text"),
        ("soup.jsonl", '{"id": true, "text": "Soup."}\n', "no `id`; expected columns id, text"),
        ("soup.jsonl", '{"id": 1.5, "text": "Soup."}\n', "no `id`; expected columns id, text"),
        ("soup.jsonl", '{"id": "a", "text": "So\\u0000up."}\n', "holds NUL characters, so it is no text"),
        ("soup.jsonl", '{"id": "a", "text": "So\\ud800up."}\n', "holds half of a surrogate pair"),
        ("soup.jsonl", '{"id": "a", "text": "Soup.", "title": "\\udfff"}\n', "holds half of a surrogate pair"),
        ("soup.jsonl", "", "holds no row; expected columns id, text"),
        ("soup.jsonl.gz", b"no gzip", "cannot be read to its end (Not a gzipped file"),
        ("soup.csv", "", "holds no row; expected columns id, text"),
        ("soup.csv", "id,text\n", "holds no row; expected columns id, text"),
        ("soup.csv", "id,text,text\na,Soup.,Salt.\n", "duplicate column `text`; remove one"),
        ("soup.csv", "id,title\na,Soup\n", "no `text`; expected columns id, text"),
        ("soup.csv", "id,text\na\n", "`text` is empty"),
        ("soup.csv", "id,text\na,Soup, and salt.\n", "more columns than the first line"),
        ("soup.csv", 'id,text\na,"Soup\nb,Salt\n', "the rest cannot be read (unexpected end of data)"),
        ("soup.csv", "id,text\na,제재 café\n".encode()[:-2], "the rest cannot be read ('utf-8' codec can't decode"),
        ("soup.csv", "id,text\na,제재\n".encode() + b"b,caf\xe9\n", "broken UTF-8 at byte 22"),
        ("soup.parquet", b"", "the rest is no parquet"),
        ("soup.parquet", b"PAR1 is not enough PAR1", "the rest is no parquet"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_the_reason(read, name, content, why):
    (found,) = read(name, content)
    assert found.why.startswith(why)


def test_a_reject_of_a_document_names_the_file(tmp_path, read):
    assert read("soup.txt", b"")[0].where == str(tmp_path / "soup.txt")


def test_a_reject_of_a_line_names_file_and_line(tmp_path, read):
    found = read("soup.jsonl", lines({"id": "a", "text": TALKS}) + "\n{soup\n")
    assert found[1].where == f"{tmp_path / 'soup.jsonl'}:3"


def test_a_reject_of_a_csv_row_names_file_and_line(tmp_path, read):
    assert read("soup.csv", "id,text\na,Talks.\nb,\n")[1].where == f"{tmp_path / 'soup.csv'}:3"


def test_a_reject_of_a_parquet_row_names_file_and_row(write):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "text": [TALKS, None]}), path)
    assert list(read_articles([path]))[1] == Reject(f"{path}:row 2", "`text` is empty")


@pytest.mark.parametrize(("column", "missing"), [("id", "text"), ("text", "id")])
def test_a_parquet_without_a_column_is_one_reject(write, column, missing):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({column: ["a", "b"], "spice": ["salt", "salt"]}), path)
    assert list(read_articles([path])) == [Reject(str(path), f"no `{missing}`; expected columns id, text")]


def test_a_csv_without_a_column_is_one_reject(tmp_path, read):
    found = read("soup.csv", "id,body\na,Talks.\nb,Soup.\n")
    assert found == [Reject(str(tmp_path / "soup.csv"), "no `text`; expected columns id, text")]


def test_broken_utf8_inside_parquet_is_rejected(write):
    path = write("soup.parquet", b"")
    good = pyarrow.array(["soup"])
    bad = pyarrow.Array.from_buffers(pyarrow.string(), 1, [*good.buffers()[:2], pyarrow.py_buffer(b"so\xff\xfe")])
    parquet.write_table(pyarrow.table({"id": ["a"], "text": bad}), path)
    assert whys(read_articles([path]))[0].startswith("the rest is no parquet ('utf-8' codec")


def test_a_bad_line_does_not_stop_the_rest(read):
    good = lines({"id": "a", "text": TALKS}), lines({"id": "b", "text": TALKS})
    assert ids(read("soup.jsonl", "{soup\n".join(good))) == ["a", "b"]


def test_a_bad_file_does_not_stop_the_rest(tmp_path, write):
    write("a.pdf", "%PDF")
    write("b.txt", TALKS)
    assert ids(read_articles([tmp_path])) == ["b.txt"]


def test_what_was_read_before_a_compressed_file_breaks_off_is_kept(read):
    rows = [{"id": str(n), "text": f"Soup number {n}."} for n in range(5000)]
    found = read("soup.jsonl.gz", gzip.compress(lines(*rows).encode())[:-400])
    assert ids(found)[0] == "0" and whys(found)[-1].startswith("cannot be read to its end (Compressed file ended")


def test_a_compressed_file_with_a_flipped_byte_is_rejected(read):
    content = bytearray(gzip.compress(lines({"id": "a", "text": TALKS * 100}).encode()))
    content[20] ^= 255
    assert whys(read("soup.jsonl.gz", bytes(content)))[-1].startswith("cannot be read to its end")


def test_a_line_that_is_too_long_is_rejected_and_the_next_is_read(monkeypatch, read):
    monkeypatch.setattr(rows, "MOST_BYTES", 60)
    found = read("soup.jsonl", lines({"id": "a", "text": "soup " * 100}, {"id": "b", "text": TALKS}))
    assert whys(found) == ["is longer than 60 bytes"] and ids(found) == ["b"]


@pytest.mark.parametrize("name", ["soup.txt", "soup.html", "soup.jsonl", "soup.csv"])
def test_a_line_of_200_megabytes_is_a_reject_and_never_in_memory(tmp_path, name):
    before = csv.field_size_limit()
    with (tmp_path / name).open("wb") as stream:
        stream.write(b'id,text,"' if name.endswith(".csv") else b'{"text": "')
        for _ in range(200):
            stream.write(b"soup " * 200_000)
    tracemalloc.start()
    try:
        (why,) = whys(read_articles([tmp_path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        csv.field_size_limit(before)
    assert "longer than 20,000,000" in why or "larger than 20,000,000" in why
    assert peak < 110_000_000


def test_the_counter_counts_the_bytes_of_all_files(tmp_path, write):
    row = lines({"id": "a", "text": TALKS}).encode()
    files = {"a.txt": TALKS.encode(), "b.jsonl": row, "c.jsonl.gz": gzip.compress(row), "d.csv": b"id,text\nd,Soup.\n"}
    counter = ByteCounter()
    for name, content in files.items():
        write(name, content)
    assert len([found for source in find_sources([tmp_path]) for found in read_source(source, counter)]) == 4
    assert counter.read == sum(map(len, files.values()))


def test_a_document_that_is_too_long_is_rejected(monkeypatch, read):
    monkeypatch.setattr(rows, "MOST_BYTES", 60)
    assert whys(read("soup.txt", "soup " * 100)) == ["is larger than 60 bytes, so it is no article"]


def test_a_csv_field_that_is_too_long_is_rejected(monkeypatch, read):
    monkeypatch.setattr(rows, "MOST_BYTES", 60)
    before = csv.field_size_limit()
    try:
        assert "larger than field limit (60)" in whys(read("soup.csv", 'id,text\na,"' + "soup\n" * 100))[0]
    finally:
        csv.field_size_limit(before)


def test_a_csv_line_that_is_too_long_is_rejected(monkeypatch, read):
    monkeypatch.setattr(rows, "MOST_BYTES", 60)
    before = csv.field_size_limit()
    try:
        found = read("soup.csv", "id,text\na,Talks.\nb," + "soup," * 100)
    finally:
        csv.field_size_limit(before)
    assert ids(found) == ["a"] and whys(found) == ["the rest cannot be read (a line is longer than 60 characters)"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_file_name_that_is_no_utf8_is_rejected(tmp_path):
    with open(os.fsencode(tmp_path) + b"/soup-\xff.txt", "w") as stream:
        stream.write(TALKS)
    assert whys(read_articles([tmp_path])) == ["holds half of a surrogate pair, which is no character"]


def test_rows_are_read_from_tables_alone(write):
    with pytest.raises(InputError, match=r"unknown kind of file; expected \.jsonl, \.csv, \.tsv, \.parquet"):
        list(read_rows(write("soup.txt", TALKS)))


def test_rows_keep_all_their_columns(write):
    (row,) = read_rows(write("soup.jsonl", lines({"id": "a", "spice": ["salt"]})))
    assert row.fields == {"id": "a", "spice": ["salt"]}
