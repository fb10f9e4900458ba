"""The table of actors: who counts as whom, which names are one, and what a bad table says."""

import pytest
from conftest import ROOT

from pipeline.coverage.actors import UNKNOWN, read_actors
from pipeline.errors import InputError

TABLE = """
women: [Olga NOODLE]
actors:
  cooks:
    title: the cooks
    former: guests
    people: [Olga NOODLE, Olga B. NOODLE, Bob MCBROTH, KIM Chi-min]
    offices: [Kitchen Council, chef, the minister]
    countries: [Noodleland, Noodlish]
  critics: {title: the critics, any_country: true, offices: [critics]}
  guests: {title: the guests, people: [Ann Spoon], offices: [taster, tasters], media: [Noodle Post]}
"""


@pytest.fixture
def actors(tmp_path):
    (tmp_path / "actors.yaml").write_text(TABLE)
    return read_actors(tmp_path / "actors.yaml")


@pytest.mark.parametrize(
    ("mention", "beside", "actor"),
    [
        ("Olga Noodle", "", "cooks"),
        ("Mr. McBroth", "", "cooks"),
        ("Kim Chi Min", "", "cooks"),
        ("Noodlish officials", "", "cooks"),
        ("Spoon", "", UNKNOWN),
        ("Spoon", "; Ann Spoon", "guests"),
        ("Jim", ", a taster in Noodleland", "guests"),
        ("the former chef", "", "guests"),
        ("a former Noodlish general", "", "guests"),
        ("Noodlelander", "", UNKNOWN),
        ("Noodlish tasters", "", "cooks"),
        ("Noodlish critics", "", "critics"),
        ("Jo Ladle", ", Noodle Post", "guests"),
        ("Kim Spoon", "", UNKNOWN),
    ],
)
def test_a_full_name_decides_then_an_office_a_surname_a_country(actors, mention, beside, actor):
    assert actors.find(mention, mention + beside) == actor


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("McBroth", "Bob McBroth"),
        ("Foreign Minister Olga Noodle", "Olga Noodle"),
        ("President Noodle", "Olga Noodle"),
        ("Olga B. Noodle", "Olga Noodle"),
        ("Chief Cook Jim Ladle", "Jim Ladle"),
        ("the Kitchen Council", "Kitchen Council"),
        ("a senior Noodlish official", "senior Noodlish official"),
    ],
)
def test_a_name_loses_its_titles(actors, text, name):
    assert actors.full_name(text.replace("Chief Cook", "Chief Secretary")) == name


@pytest.mark.parametrize(
    ("pronoun", "fits"),
    [
        ("he", "Bob McBroth, Ann Spoon, the minister"),
        ("she", "Olga Noodle, the minister"),
        ("it", "Noodleland, the Kitchen Council, Noodle Post"),
        ("they", "Noodleland, the Kitchen Council, Noodle Post, tasters and cooks, officials"),
    ],
)
def test_a_pronoun_means_only_who_fits(actors, pronoun, fits):
    mentions = "Bob McBroth, Olga Noodle, Ann Spoon, the minister, Noodleland, the Kitchen Council, Noodle Post, "
    mentions += "tasters and cooks, officials, she"
    assert ", ".join(text for text in mentions.split(", ") if actors.can_be(pronoun, text)) == fits


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace("Ann Spoon", "Olga NOODLE"), "`Olga Noodle` is named twice, by `cooks` and `guests`; keep one"),
        (TABLE.replace("taster, ", "chef, "), "`chef` is named twice, by `cooks` and `guests`; keep one"),
        (TABLE.replace("taster, ", "tasters, "), "`tasters` is named twice, by `guests` and `guests`; keep one"),
        (TABLE.replace("former: guests", "former: cats"), "`former` of `cooks` is `cats`, which is no actor"),
        (TABLE.replace("title: the cooks", "name: cooks"), "`actors.cooks.title`: Field required"),
        (TABLE.replace("[Ann Spoon]", "[1]"), "`actors.guests.people.0`: Input should be a valid string"),
        ("- a", "actors.yaml: "),
        ("actors: [", "actors.yaml: "),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, table, said):
    (tmp_path / "actors.yaml").write_text(table)
    with pytest.raises(InputError) as refused:
        read_actors(tmp_path / "actors.yaml")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_table_that_ships_is_sound():
    actors = read_actors(ROOT / "configs" / "actors.yaml")
    assert len(actors.titles) >= 10
    assert actors.find("Kim", "Kim") == "north-korea"
    assert actors.find("U.S. Sen. Lindsey Graham", "U.S. Sen. Lindsey Graham") == "us-legislator"
