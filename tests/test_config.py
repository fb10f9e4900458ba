from pathlib import Path

import pytest
from conftest import ROOT
from pydantic import ValidationError
from refusals import refused

from pipeline.config import Candidate, read_config
from pipeline.training.selection import check_candidates

GOOD = "label_names: [stick, carrot]\ncandidates: [{kind: majority}]\n"


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "soup.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def refusal(path):
    error = refused(read_config, path)
    assert error.where == str(path)
    return error


def test_the_name_is_that_of_the_file(write):
    assert read_config(write(GOOD)).name == "soup"


def test_a_name_in_the_file_wins(write):
    assert read_config(write(GOOD + "name: broth")).name == "broth"


def test_what_is_not_said_has_a_default(write):
    config = read_config(write(GOOD))
    assert (config.random_state, config.selection.folds, config.data.seeds) == (0, 5, Path("seeds"))


@pytest.mark.parametrize("precision", ["0", "1", "1.2", "most"])
def test_a_precision_to_abstain_for_is_a_share(write, precision):
    assert refusal(write(f"{GOOD}abstain: {{precision: {precision}}}")).what.startswith("`abstain.precision`: ")


def test_label_names_keep_their_order(write):
    assert read_config(write(GOOD)).label_names == ("stick", "carrot")


def test_a_candidate_is_named_after_its_kind(write):
    assert read_config(write(GOOD)).candidates[0].name == "majority"


def test_other_keys_of_a_candidate_are_its_options(write):
    content = "label_names: [stick, carrot]\ncandidates: [{kind: tfidf, name: strict, C: 0.1}]"
    assert read_config(write(content)).candidates == (Candidate(name="strict", kind="tfidf", options={"C": 0.1}),)


def test_a_config_cannot_be_changed(write):
    with pytest.raises(ValidationError) as caught:
        read_config(write(GOOD)).random_state = 7
    assert caught.value.errors()[0]["type"] == "frozen_instance"


def test_a_table_stands_in_for_seeds_and_labels_and_a_data_set_for_a_table_that_is_not_there(write, tmp_path):
    path = write(GOOD + f"data: {{table: {tmp_path / 'tea.csv'}, hub: tea/tea_eval}}")
    assert read_config(path).data.source == "tea/tea_eval"
    (tmp_path / "tea.csv").touch()
    assert read_config(path).data.source == str(tmp_path / "tea.csv")
    assert read_config(write(GOOD)).data.source == ""


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", "stance"),
        ("data: {limit: 3}\n", "stance"),
        ("data: {table: rows.csv}\n", "soup"),
        ("data: {hub: some/rows}\nname: Pea soup!\n", "Pea-soup-"),
        ("data: {table: rows.csv}\nregistered_model: broth\n", "broth"),
    ],
)
def test_what_is_learned_from_data_of_your_own_is_registered_under_the_name_of_its_config(write, more, expected):
    assert read_config(write(GOOD + more)).registered_model == expected


def test_a_stored_candidate_comes_back_as_it_was():
    candidate = Candidate(name="strict", kind="tfidf", options={"C": 0.1})
    assert Candidate(**candidate.model_dump(mode="json")) == candidate


@pytest.mark.parametrize(
    ("content", "what", "expected"),
    [
        (GOOD + "sedes: here", "unknown key `sedes`", "one of abstain, cache, candidates,"),
        (GOOD + "data: {sedes: here}", "unknown key `data.sedes`", "one of columns, corpora,"),
        (
            "label_names: [a, b]\ncandidates: [{name: x, kind: x, options: {}, C: 1}]",
            "unknown key `candidates.0.C`",
            "one of kind, name, options",
        ),
        (GOOD + "selection: {folds: 1}", "`selection.folds`: Input should be greater than or equal to 2", ""),
        (
            GOOD + "selection: {resamples: 99}",
            "`selection.resamples`: Input should be greater than or equal to 100",
            "",
        ),
        (GOOD + "data: {limit: -1}", "`data.limit`: Input should be greater than or equal to 0", ""),
        (GOOD + "data: {test_share: 1}", "`data.test_share`: Input should be less than 1", ""),
        (GOOD + "random_state: often", "`random_state`: Input should be a valid integer", ""),
        ("label_names: [stick, carrot]", "`candidates`: Field required", ""),
        ("candidates: [{kind: majority}]", "`label_names`: Field required", ""),
        (
            "label_names: [stick]\ncandidates: [{kind: majority}]",
            "`label_names`: Tuple should have at least 2 items",
            "",
        ),
        ("label_names: [stick, stick]\ncandidates: [{kind: majority}]", "`label_names`: duplicate stick", ""),
        ("label_names: [a, b]\ncandidates: [{kind: x}, {kind: x}]", "`candidates`: duplicate x", ""),
        (GOOD + "positive: [carrot, carrot]", "`positive`: duplicate carrot", ""),
        ("label_names: [a, b]\ncandidates: []", "`candidates`: Tuple should have at least 1 item", ""),
        ("label_names: [a, b]\ncandidates: [majority]", "`candidates.0`: Input should be a valid dictionary", ""),
        (
            "label_names: [a, b]\ncandidates: [{name: nobody}]",
            "`candidates.0.kind`: Input should be a valid string",
            "",
        ),
        (GOOD + "data: {columns: {tweet: text}}", "`data.columns`: unknown column tweet", "id, text, label,"),
        (
            GOOD + "data: {test_share: 0.6, validation_share: 0.4}",
            "`data`: test_share and validation_share leave no row",
            "",
        ),
        (GOOD + "positive: [soup]", "positive: 'soup' is no label", "some of stick, carrot"),
        (GOOD + "selection: {metric: positive_f1}", "positive: none is named, though selection.metric is", ""),
        (GOOD + "selection: {metric: luck}", "`selection.metric`: Input should be 'macro_f1' or 'positive_f1'", ""),
        ("- kimchi", "is no mapping", "keys such as `candidates:`"),
        ("", "is no mapping", "keys such as `candidates:`"),
        ("candidates: [", "invalid YAML: while parsing", ""),
        (b"label_names: [\xff]", "invalid YAML: 'utf-8' codec can't decode", ""),
        ("name: 2026-13-45", "invalid YAML: month must be in 1..12", ""),
        ('random_state: !!int "soup"', "invalid YAML: invalid literal for int()", ""),
        ('name: !!timestamp "soup"', "invalid YAML: ", ""),
        (f"random_state: {'9' * 5000}", "invalid YAML: Exceeds the limit", ""),
        (f"label_names: {'[' * 5000}", "invalid YAML: brackets within brackets without end", ""),
        (GOOD + f"random_state: {2**32}", "`random_state`: Input should be less than 4294967296", ""),
        (GOOD + "random_state: -1", "`random_state`: Input should be greater than or equal to 0", ""),
        (GOOD + "no: relief", "key False is no word", "quotes around"),
    ],
)
def test_a_wrong_config_is_refused_by_the_key(write, content, what, expected):
    error = refusal(write(content))
    assert error.what.startswith(what) and error.expected.startswith(expected)


@pytest.mark.parametrize(
    ("value", "reads"),
    [("no", "a yes or no"), ("on", "a yes or no"), ("0", "the int 0"), ("1.5", "the float 1.5")]
    + [("2026-11-29", "the date 2026-11-29")],
)
@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("label_names.1", "label_names: [maybe, {}]\ncandidates: [{{kind: majority}}]"),
        ("positive.0", GOOD.replace("{", "{{").replace("}", "}}") + "positive: [{}]"),
        ("name", GOOD.replace("{", "{{").replace("}", "}}") + "name: {}"),
        ("candidates.0.name", "label_names: [a, b]\ncandidates: [{{kind: majority, name: {}}}]"),
        ("output", GOOD.replace("{", "{{").replace("}", "}}") + "output: {}"),
        ("data.seeds", GOOD.replace("{", "{{").replace("}", "}}") + "data: {{seeds: {}}}"),
    ],
)
def test_a_text_that_yaml_takes_for_something_else_wants_quotes(write, key, content, value, reads):
    assert refusal(write(content.format(value))).what == f"`{key}`: YAML reads {reads}"
    assert refusal(write(content.format(value))).expected == 'quotes around a text such as "no", "on" or "1"'
    quoted = f'"{value}"' if key != "positive.0" else "carrot"
    assert read_config(write(content.format(quoted)))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('["x y", "x-y"]', "'x y' and 'x-y' would share the column p_x_y; rename one"),
        ('["pro-tax", "none", "pro tax"]', "'pro-tax' and 'pro tax' would share the column p_pro_tax; rename one"),
        ("[x_y, x-y]", "'x_y' and 'x-y' would share the column p_x_y; rename one"),
        ("[Tea, tea]", "'Tea' and 'tea' would share the column p_tea; rename one"),
        ('["", tea]', "is empty"),
        ('[" tea", tea]', "' tea' has blanks at an end or invisible characters; remove them"),
        ('["te\\0a", tea]', "'te\\x00a' has blanks at an end or invisible characters"),
        ('["te\\ud800a", tea]', "'te\\ud800a' has blanks at an end or invisible characters"),
        ('["t\\nea", tea]', "'t\\nea' has blanks at an end or invisible characters"),
    ],
)
def test_labels_that_cannot_be_told_apart_in_the_rows_are_refused(write, names, expected):
    what = refusal(write(f"label_names: {names}\ncandidates: [{{kind: majority}}]")).what
    assert what.startswith("`label_names") and expected in what


@pytest.mark.parametrize("output", ['""', ".", "..", "models/..", "/", "models/x.previous", "models/x.challenger"])
def test_a_model_has_a_folder_of_its_own(write, output):
    error = refusal(write(f"{GOOD}output: {output}"))
    assert "cannot be the model's folder" in error.what and error.expected.startswith("one such as models/champion")


@pytest.mark.parametrize("option", ["2026-11-29", "&soup [*soup]"])
def test_an_option_is_what_a_manifest_can_hold(write, option):
    content = f"label_names: [a, b]\ncandidates: [{{kind: tfidf, C: {option}}}]"
    assert refusal(write(content)).what.startswith("`candidates.0.options`: no manifest can hold it: ")


def test_a_missing_config_names_those_that_are_there(project):
    assert refusal("configs/lunch.yaml").then == "there are: configs/default.yaml, configs/lexicon.yaml"


def test_a_folder_is_no_config(tmp_path):
    assert refusal(tmp_path).what == "Is a directory"


WORDS = ("actors", "lexicon", "obvious", "topic")  # lists, which configs name
CONFIGS = sorted(path for path in (ROOT / "configs").glob("*.yaml") if path.stem not in WORDS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_configs_of_the_repository_can_be_trained(path):
    check_candidates(read_config(path).candidates)
