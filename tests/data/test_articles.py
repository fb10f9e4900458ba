import csv
import gzip
import io
import json
import os
import re
import sys
import time
import tracemalloc
import zipfile
from datetime import datetime

import openpyxl
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.data.articles import Article, find_files, find_sources, read_articles, read_source
from pipeline.data.formats import delimited, rows
from pipeline.data.formats.rows import Reject
from pipeline.data.formats.text import decode
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


@pytest.mark.parametrize(("text", "title"), [("# *Talks*\n\nSoup is hot.", "Talks"), ("Soup.\n\n# Talks\n\n", "")])
def test_a_heading_at_the_top_of_markdown_is_its_title(read, text, title):
    assert read("soup.md", text)[0].title == title


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


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_a_csv_is_read_as_programs_store_it(read, delimiter, encoding):
    content = f' id{delimiter}text \r\na{delimiter}"“Talk{delimiter} now”"\r\n'.encode(encoding)
    assert read("soup.csv", content) == [Article("a", f"“Talk{delimiter} now”")]


def test_a_csv_whose_first_line_names_its_delimiter_is_read(tmp_path, read):
    found = read("soup.csv", "sep=;\nid;text\na;Salt, soup, bread.\nb;x;y\n")
    assert found[0] == Article("a", "Salt, soup, bread.") and found[1].where == f"{tmp_path / 'soup.csv'}:4"


def test_a_quoted_delimiter_in_the_first_line_counts_for_nothing(read):
    assert ids(read("soup.csv", '"a,b,c";id;text\n1;x;Soup.\n')) == ["x"]


@pytest.mark.parametrize("names", ["ID,Text,TITLE,Date", " id , text ,title,date", "Id,text,Title,DATE"])
def test_headers_are_read_in_any_capitals_with_blanks(read, names):
    assert read("soup.csv", f"{names}\na,Talks.,Soup,2019-02-28\n") == [Article("a", "Talks.", "Soup", "2019-02-28")]


def test_a_row_without_an_id_is_named_by_its_text(read):
    first, again, other, named = read("soup.csv", "text,id\nTalks.,\nTalks.,\nSoup.,\nBread.,x\n")
    assert first.id + "-1" == again.id and other.id != first.id and named.id == "x"
    (alone,) = read("other.jsonl", lines({"text": "Talks."}))
    assert alone.id == first.id


@pytest.mark.parametrize(("value", "key"), [(1.0, "1"), (49.0, "49"), (1.5, "1.5"), (7, "7")])
def test_a_number_is_an_id_without_the_decimals_of_a_table(write, value, key):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": [value], "text": [TALKS]}), path)
    assert ids(read_articles([path])) == [key]


def test_an_id_that_is_not_a_number_is_made(write):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": [float("nan"), None], "text": [TALKS, SANCTIONS]}), path)
    assert all(len(key) == 12 for key in ids(read_articles([path])))


def write_workbook(path, *rows, sheets=1):
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.active if not number else book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_with_its_dates_numbers_and_blank_lines(write):
    day = datetime(2019, 2, 28, 12, 30)
    path = write_workbook(write("soup.xlsx", b""), [], ["ID", "Text", "date"], [1, TALKS, day], [], ["b", SANCTIONS])
    assert list(read_articles([path])) == [Article("1", TALKS, date="2019-02-28"), Article("b", SANCTIONS)]


def test_all_sheets_of_a_workbook_are_read(write):
    path = write_workbook(write("soup.xlsx", b""), ["text"], [TALKS], [None], ["#N/A"], ["=A1"], sheets=2)
    found = list(read_articles([path]))
    assert len(set(ids(found))) == 2
    assert [r.where for r in found if isinstance(r, Reject)][:2] == [f"{path}:Sheet:4", f"{path}:Sheet:5"]
    assert whys(found)[:2] == [
        "holds the error #N/A; correct its formula",
        "`text` is a formula without a value; open the workbook, and save it again",
    ]


@pytest.mark.parametrize("dimension", ['ref="A1"', 'ref="A1:B2"'])
def test_a_workbook_that_gives_its_size_wrong_is_read_whole(write, dimension):
    path = write_workbook(write("full.xlsx", b""), ["id", "text"], *([str(n), f"Soup {n}."] for n in range(20)))
    wrong = write("wrong.xlsx", b"")
    with zipfile.ZipFile(path) as full, zipfile.ZipFile(wrong, "w") as copy:
        for name in full.namelist():
            copy.writestr(name, re.sub(rb'<dimension ref="[^"]*"', f"<dimension {dimension}".encode(), full.read(name)))
    assert list(read_articles([wrong])) == list(read_articles([path])) != []


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def word(*paragraphs):
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r>{text}</w:r></w:p>' for style, text in paragraphs
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        xml = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", xml)
    return content.getvalue()


def test_a_word_document_is_read(read):
    content = word(
        ("Title", "<w:t>Envoys agree</w:t><w:t xml:space='preserve'> on soup</w:t>"),
        ("Normal", "<w:t>Talks.</w:t><w:tab/><w:t>Soup &amp; bread.</w:t><w:del><w:t>No.</w:t></w:del>"),
    )
    assert read("soup.docx", content) == [
        Article("soup.docx", "Envoys agree on soup\n\nTalks. Soup & bread.", "Envoys agree on soup")
    ]


def archive(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


def test_an_archive_is_read_like_a_folder(tmp_path, read):
    files = {
        "a.txt": TALKS,
        "north/b.csv": "id,text\nb,Soup.\n",
        "c.pdf": "%PDF",
        ".hid.txt": "x",
        "__MACOSX/a.txt": "x",
    }
    found = read("soup.zip", archive(**files, **{"d.txt.gz": gzip.compress(b"Bread.")}))
    assert ids(found) == ["soup.zip/a.txt", "b", "soup.zip/d.txt.gz"]
    assert [r.where for r in found if isinstance(r, Reject)] == [f"{tmp_path / 'soup.zip'}/c.pdf"]


@pytest.mark.parametrize("name", ["soup.xlsx", "soup.docx"])
def test_an_archive_that_would_fill_the_memory_is_rejected(read, name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b" " * 30_000_000)
    assert "would unpack to 30,000,000 bytes" in whys(read(name, content.getvalue()))[0]


def test_a_cell_that_this_program_shielded_comes_back_and_no_other(read):
    own, other = "article_id,id,text\n'=a,x,'-Soup.\n", "id,text\n'=a,'-Soup.\n"
    assert read("own.csv", own)[0].text == "-Soup." and read("other.csv", other) == [Article("'=a", "'-Soup.")]


ANY_CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip())
SOME_CELL = st.text("abc,;|\t\"'\n=é€ ", min_size=1).filter(lambda text: text.strip() and "\0" not in text)


@settings(max_examples=30)
@given(
    rows=st.lists(st.tuples(ANY_CELL | SOME_CELL, SOME_CELL), min_size=1, max_size=4, unique_by=lambda row: row[0]),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    names=st.permutations(["id", "text", "mood"]),
)
def test_what_was_written_to_a_csv_comes_back(rows, delimiter, encoding, quoting, names):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerow(names)
    cells = [dict(zip(("id", "text", "mood"), (*row, "sour"), strict=True)) for row in rows]
    writer.writerows([[row[name] for name in names] for row in cells])
    found = delimited.read(io.BytesIO(text.getvalue().encode(encoding)), "soup.csv")
    assert [row.fields for row in found] == cells


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


@pytest.mark.parametrize("declared", ["iso-8859-1", "ISO-8859-1", "us-ascii", "latin1"])
def test_a_page_in_latin1_has_the_quotes_that_browsers_show(read, declared):
    page = PAGE.replace("<head>", f'<head><meta charset="{declared}">').replace("Tuesday", "“Tuesday” – it’s €5")
    assert "“Tuesday” – it’s €5" in read("soup.html", page.encode("cp1252"))[0].text


def test_a_page_in_gb2312_has_the_characters_of_its_larger_kin(read):
    page = PAGE.replace("<head>", '<head><meta charset="gb2312">').replace("Tuesday", "“鎔基” — ’")
    assert "“鎔基” — ’" in read("soup.html", page.encode("gbk"))[0].text


# Dates of pages

DATED = '<meta property="article:published_time" content="2019-02-28">'


@pytest.mark.parametrize(
    ("place", "date"),
    [
        (DATED.replace("2019-02-28", "2019-02-28T23:30:00+09:00"), "2019-02-28"),
        ('<meta itemprop="datePublished" content="Feb 28, 2019">', "2019-02-28"),
        ('<meta name="DC.date.issued" content="28.02.2019">', "2019-02-28"),
        ('<script type="application/ld+json">{"datePublished": "2019-02-28T08:00Z"}</script>', "2019-02-28"),
        ('<time datetime="2019-02-28">Thursday</time>', "2019-02-28"),
        ('<time datetime="2019-02-28">a</time><time datetime="2019-03-01">b</time>', ""),
        ("<p>The envoys met on 3 May 2017. Copyright 2016.</p>", ""),
        ('<meta name="date" content="3/4/2019">', ""),
        ('<link rel="canonical" href="https://parley.example/2018/05/06/soup">', ""),
    ],
)
def test_the_date_of_a_page_is_the_one_it_states_or_none(read, place, date):
    (article,) = read(
        "soup.html",
        PAGE.replace(DATED, place if place.startswith(("<meta", "<link")) else "")
        .replace("<h1>", f"{'' if place.startswith(('<meta', '<link')) else place}<h1>")
        .replace("<article>", "<article>"),
    )
    assert article.date == date


@pytest.mark.parametrize(
    "page",
    [
        "<html><body><p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">Soup.</p></body></html>",
        "<html><body>" + ("<p " + " ".join(f"a{i}" for i in range(12_000)) + ">Soup.</p>") * 8 + "</body></html>",
        "<html><body>" + ("<p " + "".join(f"a{i}='1'" for i in range(9_000)) + ">Soup.</p>") * 20 + "</body></html>",
        "<html><body>" + "<div>" * 100_000 + "Soup.",
        "<html><body><article>" + "<b>Soup.</b>" * 50_000,
        "<html>" + "<script" * 100_000,
    ],
    ids=["attributes", "several tags", "glued", "depth", "tags", "scripts"],
)
def test_a_hostile_page_is_rejected_in_no_time(read, page):
    read("warm.html", PAGE)
    begin = time.process_time()
    (why,) = whys(read("soup.html", page))
    assert why.startswith(("the page is no article", "the page holds no article"))
    assert time.process_time() - begin < 5


def test_a_date_that_may_be_two_is_kept_as_it_was_written(read):
    (article,) = read("soup.csv", "id,text,date\na,Talks.,3/4/2019\n")
    assert (article.date, article.unclear_date) == ("", "3/4/2019")


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
        ("soup.jsonl", '{"id": "a"}\n', "no `text`; its columns are id"),
        ("soup.jsonl", '{"id": "a", "text": null}\n', "`text` is empty"),
        ("soup.jsonl", '{"id": "a", "text": "  "}\n', "`text` is empty"),
        ("soup.jsonl", '{"id": "a", "text": 38}\n', "`text` is no text but int"),
        ("soup.jsonl", '{"id": true, "text": "Soup."}\n', "`id` is no text or number but bool"),
        ("soup.jsonl", '{"id": [1], "text": "Soup."}\n', "`id` is no text or number but list"),
        ("soup.jsonl", '{"id": "a", "id": "b", "text": "Soup."}\n', "is no JSON in UTF-8 (a field stands twice)"),
        ("soup.jsonl", '{"ID": "a", "id": "b", "text": "Soup."}\n', "duplicate column `id`"),
        ("soup.xlsx", b"no zip", "is no workbook (File is not a zip file); save it as .xlsx or .csv again"),
        ("soup.docx", b"no zip", "is no Word document (File is not a zip file)"),
        ("soup.zip", b"no zip", "is no archive (File is not a zip file)"),
        ("soup.jsonl", '{"id": "a", "text": "So\\u0000up."}\n', "holds NUL characters, so it is no text"),
        ("soup.jsonl", '{"id": "a", "text": "So\\ud800up."}\n', "holds half of a surrogate pair"),
        ("soup.jsonl", '{"id": "a", "text": "Soup.", "title": "\\udfff"}\n', "holds half of a surrogate pair"),
        ("soup.jsonl", "", "holds no row; expected a column text"),
        ("soup.jsonl.gz", b"no gzip", "cannot be read to its end (Not a gzipped file"),
        ("soup.csv", "", "holds no row; expected a column text"),
        ("soup.csv", "id,text\n", "holds no row; expected a column text"),
        ("soup.csv", "id,text,text\na,Soup.,Salt.\n", "duplicate column `text`; remove one"),
        ("soup.csv", "id,title\na,Soup\n", "no `text`; its columns are id, title; expected text"),
        ("soup.csv", "id,text\na\n", "`text` is empty"),
        ("soup.csv", "id,text\na,Soup, and salt.\n", "more columns than the first line"),
        ("soup.csv", 'id,text\na,"Soup\nb,Salt\n', "the rest cannot be read (unexpected end of data)"),
        ("soup.csv", "id,text\na,제재 café\n".encode()[:-2], "holds bytes that are no UTF-8"),
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


def test_a_parquet_without_a_text_is_one_reject(write):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "spice": ["salt", "salt"]}), path)
    assert list(read_articles([path])) == [Reject(str(path), "no `text`; its columns are id, spice; expected text")]


def test_a_csv_without_a_column_is_one_reject(tmp_path, read):
    found = read("soup.csv", "id,body\na,Talks.\nb,Soup.\n")
    assert found == [Reject(str(tmp_path / "soup.csv"), "no `text`; its columns are id, body; expected text")]


def test_broken_utf8_inside_parquet_is_rejected(write):
    path = write("soup.parquet", b"")
    good = pyarrow.array(["soup"])
    bad = pyarrow.Array.from_buffers(pyarrow.string(), 1, [*good.buffers()[:2], pyarrow.py_buffer(b"so\xff\xfe")])
    parquet.write_table(pyarrow.table({"id": ["a"], "text": bad}), path)
    assert whys(read_articles([path]))[0].startswith("`text` has no value that can be read ('utf-8' codec")


@pytest.mark.parametrize("bad", [b"b,caf\xe9\n", b'b,"Soup" now\n', b"b,Soup,and,salt\n"])
def test_a_bad_row_of_a_csv_does_not_stop_the_rest(tmp_path, read, bad):
    found = read("soup.csv", "id,text\na,제재\n".encode() + bad + b"c,Soup\n")
    assert ids(found) == ["a", "c"] and found[1].where == f"{tmp_path / 'soup.csv'}:3"


@pytest.mark.parametrize(
    "values",
    [
        pyarrow.array([2**62, 0], pyarrow.timestamp("us")),
        pyarrow.array([2**62, 0], pyarrow.duration("s")),
        pyarrow.array([2**31 - 1, 0], pyarrow.int32()).cast(pyarrow.date32()),
    ],
    ids=["timestamp", "duration", "date"],
)
def test_a_value_that_python_cannot_hold_makes_its_row_a_reject(write, values):
    path = write("soup.parquet", b"")
    parquet.write_table(pyarrow.table({"id": ["a", "b"], "text": [TALKS, TALKS], "when": values}), path)
    found = list(read_articles([path]))
    assert ids(found) == ["b"] and found[0].where == f"{path}:row 1"
    assert found[0].why.startswith("`when` has no value that can be read (")


@pytest.mark.parametrize("zone", ["Mars/Phobos", "Asia/Seoul"])
def test_a_time_zone_that_nobody_knows_makes_rejects(write, zone):
    path = write("soup.parquet", b"")
    when = pyarrow.array([0], pyarrow.timestamp("s", zone))
    parquet.write_table(pyarrow.table({"id": ["a"], "text": [TALKS], "date": when}), path)
    (found,) = read_articles([path])
    assert found == Article("a", TALKS, date="1970-01-01") if zone == "Asia/Seoul" else "Mars" in found.why


def test_a_column_of_structs_with_two_equal_names_makes_rejects(write):
    path = write("soup.parquet", b"")
    struct = pyarrow.StructArray.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["x", "x"])
    parquet.write_table(pyarrow.table({"id": ["a"], "text": [TALKS], "extra": struct}), path)
    assert whys(read_articles([path]))[0].startswith("`extra` has no value that can be read (")


def test_two_columns_of_one_name_are_one_reject_in_every_table(write):
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 3, names=["id", "text", "Text "])
    path = write("soup.parquet", b"")
    parquet.write_table(table, path)
    book = write_workbook(write("soup.xlsx", b""), ["id", "text", "Text "], ["a", TALKS, TALKS])
    csv_file = write("soup.csv", "id,text,Text \na,Talks.,Soup.\n")
    for file in (path, book, csv_file):
        assert whys(read_articles([file])) == ["duplicate column `text`; remove one"]


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
    assert whys(read_articles([tmp_path])) == ["holds bytes that are no UTF-8"]


def test_rows_are_read_from_tables_alone(write):
    with pytest.raises(InputError, match=r"unknown kind of file; expected \.jsonl, \.csv, \.tsv, \.xlsx, \.parquet"):
        list(read_rows(write("soup.txt", TALKS)))


def test_rows_keep_all_their_columns(write):
    (row,) = read_rows(write("soup.jsonl", lines({"id": "a", "spice": ["salt"]})))
    assert row.fields == {"id": "a", "spice": ["salt"]}
