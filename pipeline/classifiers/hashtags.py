"""Hashtags in words: `#prolife` says `pro life`, which neither n-grams of words nor an encoder's word pieces show.

Words are cut where the sum of their log-probabilities is highest (Norvig, 2009, "Natural Language Corpus Data"),
with probabilities from the training text itself.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

HASHTAG = re.compile(r"#([A-Za-z]\w+)")
MARKED, WORD = re.compile(r"[#@]\S+"), re.compile(r"[a-z]+")
FEWEST = 0.05  # of the texts must have a hashtag: a few in the news make no vocabulary
LONGEST = 20  # letters of a word


def learn_words(texts: Sequence[str]) -> dict[str, int]:
    """Count the words outside hashtags that stand in two texts or more; none where hashtags are rare."""
    if sum(bool(HASHTAG.search(text)) for text in texts) < max(1, FEWEST * len(texts)):
        return {}
    counts = Counter(word for text in texts for word in {*WORD.findall(MARKED.sub("", text.lower()))})
    return {word: count for word, count in sorted(counts.items()) if count > 1 and (len(word) > 1 or word in "ai")}


def spell(text: str, words: Mapping[str, int]) -> str:
    """Return a text with the words of each hashtag behind it; as it is where no words are known."""
    if not words:
        return text
    return HASHTAG.sub(lambda found: f"{found[0]} {cut(found[1], words)}", text)


def cut(tag: str, words: Mapping[str, int]) -> str:
    """Return the words of a hashtag: where its capitals are, or else where known words fit best."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tag)
    if parted != tag:
        return parted
    tag, total = tag.lower(), sum(words.values())
    best: list[tuple[float, int]] = [(0.0, 0)]  # of each beginning: its score, and where its last word begins
    for end in range(1, len(tag) + 1):
        found = []
        for start in range(max(0, end - LONGEST), end):
            count = words.get(tag[start:end], 0)
            # A word that is not known is as rare as a millionth, and the rarer the longer it is.
            score = math.log(count / total) if count else -12 - 2.5 * (end - start)
            found.append((best[start][0] + score, start))
        best.append(max(found))
    pieces, end = [], len(tag)
    while end:
        start = best[end][1]
        pieces.append(tag[start:end])
        end = start
    return " ".join(reversed(pieces))
