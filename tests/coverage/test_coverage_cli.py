"""`stance coverage` from end to end on small files."""

import csv
import json
from contextlib import nullcontext

import numpy as np
import pytest
from conftest import ARTICLES, article_text
from predicted import LABEL_NAMES, predicted_rows, write_labels, write_rows

from pipeline import tracking
from pipeline.coverage import held_out
from pipeline.coverage.held_out import NAME, HeldOut, write_held_out


@pytest.fixture
def config(project):
    file = project / "configs" / "default.yaml"
    file.write_text(file.read_text() + "positive: [pro-dialogue, pro-sanctions]\n")


@pytest.fixture
def run(stance, config):
    return lambda *words: stance("coverage", *words, "--output", "page")


def table(name):
    with open(f"page/{name}.csv", encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_rows_and_labels_become_a_page(project, run, name):
    rows, truth = predicted_rows(100, 8)
    write_rows(rows, project / name)
    write_labels(rows[::3], truth[::3], project / "mine.jsonl")
    code, said, noted = run(name, "--labels", "mine.jsonl", "--by", "outlet,quarter")
    assert code == 0
    assert said.startswith("Of the sentences that take a side in these 100 articles, ")
    assert "267 of 267 sentences labelled at random stand in these rows" in noted
    share = float(table("overall")[0]["share pro-dialogue"])
    assert share == pytest.approx(np.bincount(truth)[1] / len(truth), abs=0.05)
    assert [row["outlet"] for row in table("outlet")] == ["The Daily Parley", "Kimchi Times", "Noodle Post"]
    assert table("quarter")[0]["quarter"] == "2017-Q1"
    assert "<h1>Of the sentences" in (project / "page" / "index.html").read_text(encoding="utf-8")


def test_a_folder_of_rows_is_read_as_one_batch(project, run):
    rows, truth = predicted_rows(60, 5)
    (project / "parts").mkdir()
    write_rows(rows[:150], project / "parts" / "a.parquet")
    write_rows(rows[150:], project / "parts" / "b.parquet")
    (project / "parts" / "b.parquet.rejected.jsonl").write_text('{"where": "x", "why": "y"}\n')
    write_labels(rows, truth, project / "mine.jsonl")
    assert run("parts", "--labels", "mine.jsonl")[0] == 0
    assert table("overall")[0]["articles"] == "60"


def test_articles_are_predicted_first(project, run, champion):
    (project / "letter.txt").write_text(article_text("kimchi.txt"), encoding="utf-8")
    letters = [{"id": key, "text": article_text(key), "outlet": "Letters"} for key in list(ARTICLES)[2:]]
    (project / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in letters), encoding="utf-8")
    code, said, _ = run("letter.txt", "letters.jsonl", "--model", champion)
    assert code == 0
    assert said.startswith("No estimate, because no labelled sentences correct the model: in 7 articles")
    assert len((project / "page" / "rows.jsonl").read_text(encoding="utf-8").splitlines()) == 21
    assert {row["outlet"] for row in table("outlet")} == {"Letters", ""}


def test_rows_of_an_earlier_day_do_not_stand_for_articles_that_cannot_be_read(project, run, champion):
    (project / "letter.txt").write_text(article_text("kimchi.txt"), encoding="utf-8")
    assert run("letter.txt", "--model", champion)[0] == 0
    (project / "broken.jsonl").write_text("{soup")
    code, _, error = run("broken.jsonl", "--model", champion)
    assert code == 2 and "nothing could be read" in error and "broken.jsonl:1: is no JSON" in error


def test_what_could_not_be_read_when_the_rows_were_made_is_told(project, run):
    rows, _ = predicted_rows(10, 3)
    write_rows(rows, project / "rows.jsonl")
    (project / "rows.jsonl.rejected.jsonl").write_text('{"where": "x", "why": "y"}\n' * 3)
    assert run("rows.jsonl")[0] == 0
    assert '<td>3 articles</td><td class="words">y: no rows were made of them' in (
        project / "page" / "index.html"
    ).read_text(encoding="utf-8")


def test_labels_that_were_not_drawn_at_random_do_not_correct(project, run):
    rows, truth = predicted_rows(60, 5)
    write_rows(rows, project / "rows.jsonl")
    write_labels(rows, truth, project / "mine.jsonl", sampling="margin")
    code, _, said = run("rows.jsonl", "--labels", "mine.jsonl")
    assert (code, "mine.jsonl: holds no sentence with `sampling: random`" in said) == (2, True)


def test_what_ships_with_a_model_corrects_it_and_no_other(project, run, champion, bundle, monkeypatch):
    invented, truth = predicted_rows(60, 5)
    rows = [row | answer for row, answer in zip(invented, bundle.label([r["text"] for r in invented]), strict=True)]
    values = np.array([[row[f"p_{name.replace('-', '_')}"] for name in LABEL_NAMES] for row in rows])
    ids = tuple(dict.fromkeys(row["article_id"] for row in rows))
    article = np.repeat(np.arange(60), 5)
    probes = ("Only talks will help.", "Sanctions must stay.")
    facts = [LABEL_NAMES, ids, ("",) * 60, ("",) * 60, article, np.array(truth), values, probes]
    monkeypatch.setattr(held_out.find_held_out, "__defaults__", (project / "pretrained",))
    for given, thinks, words in (
        (rows, bundle.predict_proba(probes), "that ship with it"),
        (rows, np.full((2, 3), 1 / 3), "Nothing corrects"),
        (invented, bundle.predict_proba(probes), f"The rows do not say what {champion} says of the same sentences"),
    ):
        write_rows(given, project / "rows.jsonl")
        write_held_out(project / "pretrained" / "small" / NAME, HeldOut(*facts, thinks))
        assert run("rows.jsonl", "--model", champion)[0] == 0
        assert words in (project / "page" / "index.html").read_text(encoding="utf-8")


def test_rows_that_do_not_count_are_told(project, run):
    rows, _ = predicted_rows(10, 4)
    write_rows([row | {"label": "?"} if number % 2 else row for number, row in enumerate(rows)], project / "rows.csv")
    code, _, noted = run("rows.csv")
    assert code == 0
    assert "20 rows do not count; the first: rows.csv" in noted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv"], "nowhere.csv: no such file or folder"),
        (["rows.csv", "--by", "cook"], "--by: unknown 'cook'; expected outlet"),
        (["rows.csv", "--by", "outlet,speaker"], "--by: speaker needs two sides and configs/actors.yaml"),
        (["rows.csv", "--model", "nowhere"], "nowhere: holds no exported model"),
        (["rows.csv", "--reference", "letter.txt"], "letter.txt: holds no predicted rows"),
        (["rows.csv", "--reference", "other.csv"], "other.csv: its probabilities are p_against, p_favor, p_none"),
        (["rows.csv", "--labels", "other.jsonl"], "other.jsonl:1: unknown label 'against'"),
        (["rows.csv", "--labels", "nowhere"], "nowhere: holds no labels"),
        (["rows.csv", "letter.txt"], "letter.txt: holds no predicted rows, though rows.csv does"),
        (["other.csv"], "other.csv: its probabilities are p_against, p_favor, p_none"),
        (["empty.csv"], "models/champion: holds no exported model"),
    ],
)
def test_what_cannot_work_is_one_line(project, run, words, message):
    rows, truth = predicted_rows(10, 3)
    write_rows(rows, project / "rows.csv")
    write_rows(predicted_rows(2, 2, label_names=("favor", "against", "none"))[0], project / "other.csv")
    (project / "empty.csv").touch()
    write_labels(rows[:1], [1], project / "other.jsonl", label_names=("favor", "against", "none"))
    (project / "letter.txt").write_text("A letter.", encoding="utf-8")
    code, _, said = run(*words)
    assert code == 2
    assert said.startswith(f"stance: {message}")
    assert said.count("\n") == 1
    assert not (project / "page" / "index.html").exists()


def test_a_page_is_a_folder(project, stance, config):
    rows, _ = predicted_rows(10, 3)
    write_rows(rows, project / "rows.csv")
    code, _, said = stance("coverage", "rows.csv", "--output", "rows.csv")
    assert (code, said) == (2, "stance: rows.csv: is a file; expected a folder\n")


def test_an_earlier_batch_is_what_a_batch_is_compared_with(project, run):
    write_rows(predicted_rows(60, 5)[0], project / "rows.csv")
    for seed, light in ((1, "Alike"), (0, "Alike")):
        write_rows(predicted_rows(60, 5, seed)[0], project / "before.csv")
        assert run("rows.csv", "--reference", "before.csv")[0] == 0
        page = (project / "page" / "index.html").read_text(encoding="utf-8")
        assert "Is this batch like the earlier rows?" in page
        assert f"</span>{light}: the" in page
    surer = [
        row | {"p_neutral": 0.98, "p_pro_dialogue": 0.01, "p_pro_sanctions": 0.01} for row in predicted_rows(60, 5)[0]
    ]
    write_rows(surer, project / "before.csv")
    run("rows.csv", "--reference", "before.csv")
    assert "</span>Unlike: the" in (project / "page" / "index.html").read_text(encoding="utf-8")


def test_rows_off_topic_count_nowhere(project, run):
    rows, truth = predicted_rows(60, 5)
    half = [row | {"on_topic": str(number % 2 == 0)} for number, row in enumerate(rows)]
    write_rows(half, project / "rows.csv")
    assert run("rows.csv", "--by", "outlet")[0] == 0
    assert table("overall")[0]["sentences"] == "150"
    assert "<td>150 sentences</td>" in (project / "page" / "index.html").read_text(encoding="utf-8")
    write_rows([row | {"on_topic": "false"} for row in rows], project / "rows.csv")
    code, _, said = run("rows.csv")
    assert (code, said.splitlines()[-1]) == (2, "stance: rows.csv: not one row counts; every one is off topic")


def test_events_beside_the_config_are_marks(project, run):
    write_rows(predicted_rows(60, 5)[0], project / "rows.csv")
    (project / "configs" / "events.csv").write_text("date,title\n2017-06-08,Tea <party>\n", encoding="utf-8")
    write_labels(*predicted_rows(60, 5), project / "mine.jsonl")
    assert run("rows.csv", "--labels", "mine.jsonl", "--by", "quarter")[0] == 0
    assert "<li>Tea &lt;party&gt;," in (project / "page" / "index.html").read_text(encoding="utf-8")


def test_a_table_of_actors_beside_the_config_says_who_takes_a_side(project, run):
    rows, _ = predicted_rows(60, 5)
    write_rows([row | {"text": "Udon Soba said that coffee must stay."} for row in rows], project / "rows.csv")
    assert run("rows.csv")[0] == 0
    assert not (project / "page" / "actors.csv").exists()
    (project / "configs" / "actors.yaml").write_text("actors: {noodles: {title: Noodle makers, people: [Udon SOBA]}}\n")
    assert run("rows.csv")[0] == 0
    counts = {name: sum(row["label"] == name for row in rows) for name in LABEL_NAMES}
    (row,) = table("actors")
    assert row == {"actor": "Noodle makers"} | {n: str(counts[n]) for n in ("pro-dialogue", "pro-sanctions")}
    assert {row["speaker_name"] for row in table("speakers")} == {"Udon Soba"}
    twice = "actors: {noodles: {title: N, people: [Udon SOBA]}, tea: {title: T, offices: [Udon Soba]}}\n"
    (project / "configs" / "actors.yaml").write_text(twice)
    code, _, said = run("rows.csv")
    assert (code, "`Udon Soba` is named twice" in said, said.count("\n")) == (2, True, 1)


def test_shares_by_speaker_are_of_sentences_that_take_a_side(project, run):
    rows, truth = predicted_rows(120, 6)
    said = {0: "Udon Soba said that coffee must stay.", 1: "Jim Nobody said that tea must go."}
    rows = [row | {"text": said.get(i % 4, f"Ease the tea ban, letter {i}.")} for i, row in enumerate(rows)]
    write_rows(rows, project / "rows.csv")
    write_labels(rows, truth, project / "mine.jsonl")
    (project / "configs" / "actors.yaml").write_text("actors: {noodles: {title: =Noodles, people: [Udon SOBA]}}\n")
    assert run("rows.csv", "--labels", "mine.jsonl", "--by", "outlet,speaker")[0] == 0
    writers, noodles, unknown = table("speaker")
    assert [line["speaker"] for line in (writers, noodles, unknown)] == ["the writers", "'=Noodles", ""]
    mine = [t for i, (row, t) in enumerate(zip(rows, truth, strict=True)) if i % 4 == 0 and row["label"] != "neutral"]
    assert int(noodles["sentences"]) == len(mine)
    # All of them are labelled, so the share is what the labels say.
    assert float(noodles["share pro-dialogue"]) == pytest.approx(mine.count(1) / len(mine), abs=1e-4)
    page = (project / "page" / "index.html").read_text(encoding="utf-8")
    neutral = sum(row["label"] == "neutral" for row in rows)
    assert f"<td>{neutral} sentences</td>" in page and f"<td>{unknown['sentences']} sentences</td>" in page
    assert run("rows.csv", "--by", "speaker")[0] == 0
    assert table("speaker")[1]["share pro-dialogue"] == "" and table("speaker")[1]["sentences"] == str(len(mine))
    write_rows([row | {"text": ""} for row in rows], project / "rows.csv")
    assert run("rows.csv", "--by", "speaker")[0] == 0
    assert [line["speaker"] for line in table("speaker")] == [""]


def test_one_article_without_date_or_outlet_is_a_page_that_says_so(project, run):
    rows = [
        {k: v for k, v in row.items() if k not in ("date", "outlet", "title", "text")}
        for row in predicted_rows(1, 5)[0]
    ]
    write_rows(rows, project / "rows.jsonl")
    code, said, _ = run("rows.jsonl")
    assert (code, said.startswith("No estimate, because no labelled sentences correct the model: in 1 article")) == (
        0,
        True,
    )
    page = (project / "page" / "index.html").read_text(encoding="utf-8")
    assert "The articles do not say: there is no outlet." in page
    assert "Over time" not in page


class Recorder:
    """A run that keeps what is logged to it."""

    id = "7"

    def __init__(self):
        self.tables, self.folders = {}, {}

    def version(self, run_id):
        return f"stance/3 of {run_id}"

    def params(self, values):
        self.logged_params = values

    def metrics(self, values):
        self.logged_metrics = values

    def note(self, words):
        self.words = words

    def table(self, rows, name):
        self.tables[name] = rows

    def folder(self, path, name):
        self.folders[name] = sorted(file.name for file in path.iterdir())


def test_a_batch_can_be_logged_with_its_page_and_tables(project, run, champion, bundle, monkeypatch):
    logged, opened = Recorder(), []

    def open_run(name, experiment, tags):
        opened.append((name, experiment, tags))
        return nullcontext(logged)

    monkeypatch.setattr(tracking, "run", open_run)
    rows, truth = predicted_rows(60, 5)
    write_rows(rows, project / "rows.jsonl")
    write_labels(rows, truth, project / "mine.jsonl")
    code, said, _ = run("rows.jsonl", "--labels", "mine.jsonl", "--by", "outlet", "--log", "--model", champion)
    ((name, experiment, tags),) = opened
    assert (code, name, experiment, tags["config"]) == (0, "coverage page", "stance", "default")
    assert tags["data_digest"] == bundle.manifest.data.digest
    assert "Logged as run 7 of the experiment stance" in said
    assert logged.logged_params["model_digest"] == bundle.digest
    assert logged.logged_params["model_version"] == f"stance/3 of {bundle.manifest.run_id}"
    assert (logged.logged_metrics["articles"], logged.logged_metrics["rows"]) == (60, 300)
    assert 0 < logged.logged_metrics["seconds"] < 600
    share = float(table("overall")[0]["share pro-dialogue"])
    assert logged.logged_metrics["share_pro-dialogue"] == pytest.approx(share, abs=1e-4)
    assert {name: len(rows) for name, rows in logged.tables.items()} == {"outlet": 3, "overall": 1}
    assert logged.folders == {"page": ["index.html", "outlet.csv", "overall.csv"]}
    assert logged.words.startswith("**Of the sentences that take a side")
