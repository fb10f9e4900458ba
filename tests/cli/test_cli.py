import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LABEL_NAMES, ROOT
from refusals import refused_command

from pipeline import __version__
from pipeline.cli.options import command
from pipeline.cli.training import show_tuning
from pipeline.config import Candidate, read_config
from pipeline.scoring.bootstrap import Interval
from pipeline.training.tuning import TuningResult
from pipeline.training.tuning.study import TrialResult
from pipeline.training.tuning.trials import Tuned

COMMANDS = [
    "data",
    "split",
    "corpora",
    "train",
    "tune",
    "eval",
    "predict",
    "compare",
    "pretrain",
    "ui",
    "rollback",
    "sync",
]


def python(code, *words, folder=ROOT, **options):
    """Run code in a fresh interpreter."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, **options)


RUN = """
import sys
from pipeline.cli.main import main
try:
    main()
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded(code, *words, folder=ROOT):
    done = python(code, *words, folder=folder)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("loaded: ")[2].split())


def article(name="soup.txt", text="Sanctions must bite. Talks are soup."):
    Path(name).write_text(text)
    return name


# Help


def test_help_shows_what_to_type(stance):
    code, out, _ = stance("--help")
    assert code == 0 and "stance predict articles/ --output rows.csv" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(stance, command):
    code, out, _ = stance(command, "--help")
    assert code == 0 and "Example" in out and f"stance {command}" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_each_command(stance, command):
    assert re.search(rf"^\W*{command}  ", stance("--help")[1], re.MULTILINE)


def test_the_version_is_name_and_number(stance):
    assert stance("--version") == (0, f"stance-pipeline {__version__}\n", "")


def test_no_table_of_data_or_tune_is_wider_than_100_columns_or_cut(stance, project, capsys):
    names = {old: f"{old}-of-whatever-is-argued-for-{n}" for n, old in enumerate(LABEL_NAMES)}
    for file in (project / "labels/letters.jsonl", project / "configs/default.yaml"):
        file.write_text(re.sub("|".join(names), lambda old: names[old.group()], file.read_text()))
    code, data, _ = stance("data")
    options = {f"an_option_with_a_long_name_{n}": 1 / 3 for n in range(9)}
    trial = TrialResult("tfidf", 1, options, Interval(0.5, 0.4, 0.6))
    tuned = Tuned(Candidate(name="tfidf", kind="tfidf"), trial.macro_f1, (trial,), {})
    show_tuning(TuningResult((tuned,), "12 rows", 0, "a-run"), Path("tuned.yaml"), read_config("configs/default.yaml"))
    tables = data.partition("\nAgreement")[0] + capsys.readouterr().out.partition("\nMacro-F1 on")[0]
    assert code == 0 and max(map(len, tables.splitlines())) <= 100 and "…" not in tables
    assert tables.count("0.33") == 9


# Hints


def test_a_hint_can_be_typed_and_names_config_and_model_where_they_are_not_the_usual_ones():
    assert command("eval") == "`stance eval`"
    named = command("predict", "my articles/", config=Path("my.yaml"), model=Path("models/mine"))
    assert named == "`stance predict 'my articles/' --config my.yaml --model models/mine`"


@pytest.mark.parametrize(
    "words", ["adjudicate", "adjudicate --all", "adjudicate -o b.csv", "review -o b.csv --candidate keywords"]
)
def test_hints_of_the_labelling_loop_name_the_config(stance, project, words):
    Path("configs/default.yaml").rename("configs/own.yaml")
    if words.startswith("adjudicate"):
        labels = Path("labels/letters.jsonl")
        kept = [line for line in labels.read_text().splitlines() if "adjudicated" not in line]
        labels.write_text("\n".join(kept) + "\n")
    code, out, err = stance("label", *words.split(), "--config", "configs/own.yaml")
    assert code == 0, err
    (hint,) = (line for line in out.splitlines() if line.startswith("Next: "))
    assert "stance label adjudicate" in hint and "--config configs/own.yaml" in hint
    assert ("--all" in hint) == (words == "adjudicate --all")


# stance data


def test_data_counts_articles_sentences_and_labels(stance, project):
    _, out, _ = stance("data")
    first, *table = [line for line in out.splitlines() if line]
    assert first.startswith("Your own labels: 24 sentences of 8 articles (18 in the train part, 6 in the test part)")
    assert [line.split() for line in table[:4]] == [
        ["origin", "part", "articles", "sentences", "pro-sanctions", "pro-dialogue", "neutral"],
        ["letter", "test", "2", "6", "2", "2", "2"],
        ["letter", "train", "6", "18", "6", "6", "6"],
        ["all", "8", "24", "8", "8", "8"],
    ]


def test_data_prints_the_agreement(stance, project):
    _, out, _ = stance("data")
    assert "Krippendorff's alpha 0.939 [" in out and "over 24 sentences annotated twice; 1 differed" in out


def test_data_prints_the_leak_report(stance, project):
    assert "Leak report: 0 pairs of near-duplicate articles" in stance("data")[1]


def test_data_counts_articles_without_a_label(stance, project):
    article("seeds/goose.txt", "The general keeps nine geese.")
    assert "1 articles have no label yet" in stance("data")[1]


def test_data_takes_another_config(stance, project):
    Path("configs/default.yaml").rename("configs/small.yaml")
    assert stance("data", "--config", "configs/small.yaml")[0] == 0


# stance split


def test_split_says_which_part_a_new_article_gets(stance, project):
    text = "The general keeps nine geese."
    article("seeds/goose.txt", text)
    row = {"article_id": "goose.txt", "start": 0, "end": len(text), "text": text, "label": "neutral"}
    append("labels/letters.jsonl", json.dumps(row | {"annotator": "ann"}))
    _, out, _ = stance("split")
    assert out.startswith("goose.txt: t") and "1 articles added to seeds/index.csv" in out


def test_split_has_nothing_to_do_twice(stance, project):
    assert "0 articles added" in stance("split")[1]


# stance predict


def test_predict_says_what_it_did(stance, project, champion):
    code, out, _ = stance("predict", article(), "--output", "rows.csv", "--model", champion)
    assert code == 0 and out.startswith("1 articles, 2 sentences (") and out.endswith("): rows.csv\n")


def test_predict_writes_the_rows(stance, project, champion):
    stance("predict", article(), "--output", "rows.jsonl", "--model", champion)
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == ["Sanctions must bite.", "Talks are soup."]


def test_predict_says_where_the_rejects_are(stance, project, champion):
    code, out, _ = stance("predict", article(), article("a.pdf"), "-o", "rows.csv", "-m", champion)
    assert code == 0 and "1 inputs could not be read: rows.csv.rejected.jsonl says where and why" in out


def test_predict_of_which_nothing_could_be_read_ends_with_2_and_the_first_reasons(stance, project, champion):
    Path("rows.tsv").write_text("id\tbody\na\tTalks.\n")
    error = refused_command("predict", "rows.tsv", article("a.pdf"), "-o", "rows.csv", "-m", champion)
    assert not Path("rows.csv").exists()
    first, second, third = str(error).splitlines()
    assert first == "rows.csv: nothing could be read; rows.csv.rejected.jsonl says why"
    assert second == "rows.tsv: no `text`; its columns are id, body; expected text"
    assert third.startswith("a.pdf: unknown kind of file; expected .txt, .html, .htm, .md, .docx, .jsonl")


def test_predict_says_what_it_left_out_and_which_dates_it_did_not_take(stance, project, champion):
    row = {"id": "a", "text": "Advertisement\n\nTalks are soup.\n\n[pullquote]", "date": "3/4/2019"}
    Path("news.jsonl").write_text(json.dumps(row))
    code, out, _ = stance("predict", "news.jsonl", "-o", "rows.csv", "-m", champion, "--show-dropped", "dropped.jsonl")
    assert code == 0 and out.splitlines()[1:] == [
        "2 lines are no sentences (1 advertisement, 1 link); --show-dropped lists them",
        "1 articles have no sure date ('3/4/2019'); it is left empty",
    ]
    assert len(Path("dropped.jsonl").read_text().splitlines()) == 2


def test_predict_takes_rows_as_sentences(stance, project, champion):
    Path("rows.jsonl").write_text(json.dumps({"id": "a", "text": "Talks are soup. So is rain."}))
    out = stance("predict", "rows.jsonl", "-o", "labels.csv", "-m", champion, "--unit", "sentence")[1]
    assert out.startswith("1 articles, 1 sentences")


def test_rows_on_standard_output_are_not_mixed_with_progress(stance, project, champion):
    _, out, err = stance("predict", article(), "-o", "rows.csv", "-m", champion)
    assert "a second" in err and "a second" not in out


def test_predict_abstains_and_counts_it(stance, project, champion):
    code, out, _ = stance("predict", article(), "-o", "rows.jsonl", "-m", champion, "--abstain")
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    unsure = sum(row["label"] == "uncertain" for row in rows)
    assert code == 0 and f"{unsure} uncertain" in out
    assert all((row["label"] == "uncertain") == (row["confidence"] < 0.6) for row in rows)


# What the user can fix


def append(file, line):
    with Path(file).open("a") as stream:
        stream.write(f"{line}\n")


def broken_labels():
    append("labels/letters.jsonl", '{"article_id": "kimchi.txt"}')


def broken_index():
    append("seeds/index.csv", "lunch.txt,letter,train,,,,")


def candidate(line):
    return lambda: append("configs/default.yaml", f"  - {line}")


def nothing():
    pass


BAD = [
    ("data --config lunch.yaml", "lunch.yaml: No such file or directory", nothing),
    ("data", "labels/letters.jsonl:50: no field 'start'", broken_labels),
    ("data", "seeds/index.csv:10: no article 'lunch.txt'", broken_index),
    ("split", "labels/letters.jsonl:50: no field 'start'", broken_labels),
    ("train", "candidate 'oracle': unknown kind 'oracle'", candidate("kind: oracle")),
    ("train", "candidate 'tfidf': option `spice`", candidate("{kind: tfidf, spice: salt}")),
    ("train --config labels/letters.jsonl", "labels/letters.jsonl: invalid YAML", nothing),
    ("eval", "models/champion: holds no exported model; run `make train` first", nothing),
    ("rollback", "models/champion.previous: there is no previous champion to return to", nothing),
    ("eval --model CHAMPION --data lunch.csv", "lunch.csv: no such file", nothing),
    ("eval --model CHAMPION --data soup.txt", "soup.txt: unknown kind of file", article),
    ("predict soup.txt --output rows.csv", "models/champion: holds no exported model", article),
    ("predict lunch.txt --output rows.csv --model CHAMPION", "lunch.txt: no such file or folder", nothing),
    ("predict soup.txt --output rows.txt --model CHAMPION", "rows.txt: unknown kind of file", article),
    ("predict soup.txt --output soup.txt/rows.csv --model CHAMPION", "soup.txt/rows.csv: ", article),
    ("predict bowl --output rows.csv --model CHAMPION", "bowl: is an empty folder", lambda: Path("bowl").mkdir()),
]


@pytest.mark.parametrize(("words", "line", "spoil"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_the_user_can_fix_is_one_line_and_exit_code_2(stance, project, champion, words, line, spoil):
    spoil()
    code, out, err = stance(*[champion if word == "CHAMPION" else word for word in words.split()])
    # Progress goes to standard error too, as lines that begin with a share.
    (said,) = [told for told in err.splitlines() if not re.match(r" *\d+%  ", told)]
    assert (code, out) == (2, "") and said.startswith(f"stance: {line}")


def test_several_problems_are_a_line_each(stance, project):
    broken_labels()
    broken_labels()
    code, _, err = stance("data")
    places = [line.rpartition("labels/")[2].partition(": ")[0] for line in err.splitlines()]
    assert (code, places) == (2, ["letters.jsonl:50", "letters.jsonl:51"])


@pytest.mark.parametrize(
    "words", [["predict"], ["predict", "a.txt"], ["lunch"], ["data", "--spoon"], ["ui", "--port", "x"]]
)
def test_words_that_are_no_command_are_exit_code_2(stance, words):
    assert stance(*words)[0] == 2


def test_a_model_with_a_changed_byte_is_refused(project, champion):
    with (Path(shutil.copytree(champion, "model")) / "values.json").open("ab") as stream:
        stream.write(b" ")
    error = refused_command("predict", article(), "-o", "rows.csv", "-m", "model")
    assert error.where == "model/values.json" and error.what.startswith("was changed after the export")


def test_the_module_is_the_command_and_ends_without_a_traceback(project):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "data", "-c", "x"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("stance: x: No such file")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_standard_output_is_one_line(project):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "data"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("stance: standard output: No space left")


@pytest.mark.parametrize(
    "words", [["predict", "a.txt", "-o", "a.csv"], ["eval"], ["label", "suggest", "a.txt", "-o", "b.csv"]]
)
def test_whoever_opens_a_model_first_finishes_a_change_that_was_killed(stance, project, monkeypatch, words):
    opened = []
    monkeypatch.setattr("pipeline.training.champion.recover", opened.append)
    assert stance(*words, "--model", "models/nobody")[0] == 2
    assert opened == [Path("models/nobody")]


# What is loaded

HEAVY = {"torch", "transformers", "mlflow", "datasets", "sklearn", "pandas", "scipy", "matplotlib", "pyarrow", "optuna"}


def test_importing_the_command_line_loads_nothing_heavy():
    code = "import sys, pipeline.cli.main; print('loaded:', *{n.partition('.')[0] for n in sys.modules})"
    assert not loaded(code) & HEAVY


def test_help_loads_nothing_heavy():
    assert not loaded(RUN, "--help") & HEAVY


def test_importing_the_command_line_leaves_no_trace(tmp_path):
    done = python("import pipeline.cli.main, pipeline.training.train, pipeline.prediction", folder=tmp_path)
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []


def test_predicting_loads_neither_torch_nor_mlflow(project, champion):
    found = loaded(RUN, "predict", article(), "-o", "rows.csv", "-m", champion, folder=project)
    assert "sklearn" in found and not found & {"torch", "transformers", "mlflow", "datasets"}
