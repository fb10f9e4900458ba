"""Fetching texts that the repository may not hold: a server of our own that fails as real ones do, and no other."""

import errno
import http.server
import json
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from test_corpora import BILL, FILES, LABELS, TALK

from pipeline.config import Candidate, Config, Data
from pipeline.data import corpora, download
from pipeline.data.corpora import bring_texts, fetch_texts
from pipeline.data.download import downloads
from pipeline.data.files import write_whole
from pipeline.errors import InputError

LOGIN = b"<html><body>Please log in to the kitchen's network.</body></html>"


class Kitchen(http.server.ThreadingHTTPServer):
    """Serves FILES; `trouble` says how often a file is served badly, and how, before it is served well."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Waiter)
        self.asked, self.trouble = Counter(), {}
        self.host = f"http://127.0.0.1:{self.server_port}"


class Waiter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.removeprefix("/owner/name/c0ffee/")
        self.server.asked[path] += 1
        how, times = self.server.trouble.get(path, self.server.trouble.get("all", ("well", 0)))
        how = how if self.server.asked[path] <= times else "well"
        content = FILES.get(path) if how != "login" else LOGIN
        if isinstance(how, int) or content is None:
            self.send_response(how if isinstance(how, int) else 404)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if how != "half" else content[: len(content) // 2])

    def log_message(self, *words):
        pass


@pytest.fixture
def kitchen(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    with Kitchen() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setenv("STANCE_CORPORA_HOST", running.host)
        monkeypatch.delenv("STANCE_OFFLINE")
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Stand in a folder with labels of two files, and no text of them."""
    monkeypatch.chdir(tmp_path)
    folder = Path("labels/external")
    folder.mkdir(parents=True)
    (folder / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (TALK, BILL)))
    (folder / "split.csv").write_text(f"article,split\n{TALK['article']},test\n{BILL['article']},train\n")
    data = Data(corpora=Path(".cache/corpora.jsonl"))
    return Config(name="soup", label_names=LABELS, data=data, candidates=[Candidate(name="m", kind="majority")])


def bring(config):
    return bring_texts(config, lambda share, words: None)


def brought():
    lines = Path(".cache/corpora.jsonl").read_text().splitlines()
    return {row["article"]: row["split"] for row in map(json.loads, lines)}


def kept():
    return sorted(path.name for path in Path(".cache").rglob("*") if path.is_file())


def test_texts_are_brought_once(kitchen, config):
    assert bring(config) == "2 sentences of real text (2 news)"
    assert brought() == {TALK["article"]: "test", BILL["article"]: "train"}
    assert bring(config) == "" and kitchen.asked.total() == 2


def test_labels_that_changed_are_brought_anew_from_what_was_fetched(kitchen, config):
    bring(config)
    os.utime(".cache/corpora.jsonl", (0, 0))
    assert bring(config) and kitchen.asked.total() == 2


@pytest.mark.parametrize("how", ["half", 500, 503, 429])
def test_an_answer_that_fails_is_asked_for_again(kitchen, config, how):
    kitchen.trouble["all"] = (how, download.TRIES - 1)
    bring(config)
    assert len(brought()) == 2 and set(kitchen.asked.values()) == {download.TRIES}


@pytest.mark.parametrize(
    ("how", "why"),
    [("half", "the answer broke off"), (500, "HTTP 500"), (403, "HTTP 403"), ("login", "the answer is another text")],
)
def test_what_fails_for_good_leaves_nothing_behind_and_is_said_in_one_line(kitchen, config, how, why):
    kitchen.trouble["all"] = (how, 99)
    message = bring(config)
    assert message.startswith(f"No new text from {kitchen.host}: 2 of 2 files could not be had: owner/name@c0ffee:")
    assert why in message and "\n" not in message
    assert message.endswith("training goes on with no real text, as it was shipped.")
    assert not Path(".cache").exists()


def test_half_a_network_is_gone_on_with_next_time(kitchen, config):
    kitchen.trouble[BILL["path"]] = (500, download.TRIES)
    assert "1 of 2 files could not be had" in bring(config) and not Path(".cache/corpora.jsonl").exists()
    assert bring(config) == "2 sentences of real text (2 news)"
    assert kitchen.asked == {TALK["path"]: 1, BILL["path"]: download.TRIES + 1}


@pytest.mark.parametrize("status", [404, 410])
def test_a_source_that_vanished_is_named_once_and_the_rest_is_brought(kitchen, config, status):
    kitchen.trouble[BILL["path"]] = (status, 99)
    assert bring(config).splitlines() == [
        f"missing: owner/name@c0ffee:{BILL['path']} (HTTP {status})",
        "1 sentences left out: file cannot be had",
        "1 sentences of real text (1 news)",
    ]
    assert bring(config) == "" and kitchen.asked[BILL["path"]] == 1


def test_text_of_before_stays_when_new_text_cannot_be_had(kitchen, config):
    bring(config)
    before = brought()
    os.utime(".cache/corpora.jsonl", (0, 0))
    for file in Path(".cache/downloads").iterdir():
        file.write_bytes(LOGIN)
    kitchen.trouble["all"] = ("login", 99)
    assert bring(config).endswith("training goes on with the real text of before.")
    assert brought() == before


def test_a_full_disk_is_one_line_and_nothing_is_half_written(kitchen, config, monkeypatch):
    def full(self, content):
        with self.open("wb") as stream:
            stream.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in bring(config)
    assert kept() == []


def test_a_disk_that_is_full_at_the_end_is_one_line_and_what_was_fetched_stays(kitchen, config, monkeypatch):
    def full(result, folder, output):
        with write_whole(output) as partial:
            partial.write_text('{"half": ')
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(corpora, "write_corpora", full)
        assert "No space left on device" in bring(config)
    assert len(kept()) == 2 and bring(config) and kitchen.asked.total() == 2


def test_when_nobody_answers_the_others_are_not_asked_for(kitchen, config, monkeypatch):
    monkeypatch.setattr(download, "TRIES", 1)
    kitchen.trouble["all"] = (500, 99)
    rows = [TALK | {"id": str(number), "path": f"{number}.txt"} for number in range(200)]
    texts = fetch_texts(rows, downloads(kitchen.host, Path("downloads")), lambda share, words: None)
    assert len(texts.failed) == 200 and kitchen.asked.total() < 50


def test_a_server_that_is_down_is_one_line(kitchen, config, monkeypatch):
    monkeypatch.setenv("STANCE_CORPORA_HOST", "http://127.0.0.1:9")
    assert "Connection refused" in bring(config)


@pytest.mark.parametrize("off", ["environment", "config"])
def test_nobody_is_asked_where_that_is_turned_off(socket_disabled, config, monkeypatch, off):
    monkeypatch.setenv("STANCE_OFFLINE", "1" if off == "environment" else "0")
    if off == "config":
        config = config.model_copy(update={"data": config.data.model_copy(update={"corpora_host": None})})
    assert bring(config).startswith(
        "Real text was not asked for (STANCE_OFFLINE or data.corpora_host); training goes on"
    )


@pytest.mark.parametrize("lacks", ["corpora", "labels"])
def test_nobody_is_asked_for_what_no_config_or_label_names(socket_disabled, config, monkeypatch, lacks):
    monkeypatch.delenv("STANCE_OFFLINE")
    changes = {"corpora": None} if lacks == "corpora" else {"labels": Path("elsewhere")}
    assert bring(config.model_copy(update={"data": config.data.model_copy(update=changes)})) == ""


def test_a_host_that_is_none_is_named(config, monkeypatch):
    monkeypatch.delenv("STANCE_OFFLINE")
    monkeypatch.setenv("STANCE_CORPORA_HOST", "kitchen.example")
    with pytest.raises(InputError, match="STANCE_CORPORA_HOST: is 'kitchen.example'; expected http:// or https://"):
        bring(config)


def test_files_are_fetched_side_by_side_and_the_bar_moves(kitchen, config):
    shares = []
    rows = [TALK | {"id": str(number)} for number in range(3)] + [BILL]
    fetch_texts(rows, downloads(kitchen.host, Path("downloads")), lambda share, words: shares.append((share, words)))
    assert shares == [(0.5, "real text: file 1 of 2"), (1.0, "real text: file 2 of 2")]


def test_the_command_says_what_came_and_where_it_lies(kitchen, config, stance):
    Path("soup.yaml").write_text(f"label_names: [{', '.join(LABELS)}]\ncandidates: [{{kind: majority}}]\n")
    code, out, _ = stance("corpora", "--config", "soup.yaml")
    assert code == 0 and "2 sentences of real text (2 news)" in out and len(brought()) == 2


def test_the_command_ends_with_one_line_when_nothing_came(kitchen, config, stance):
    Path("soup.yaml").write_text(f"label_names: [{', '.join(LABELS)}]\ncandidates: [{{kind: majority}}]\n")
    kitchen.trouble["all"] = ("login", 99)
    code, _, err = stance("corpora", "--config", "soup.yaml")
    assert code == 2 and "2 of 2 files could not be had" in err and "the same command goes on from here" in err
