"""Whole articles on one side: near-duplicates, the assignment to parts, and the leak report."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SHINGLE = 5  # words
# A shingle in more texts than this is boilerplate ("the Democratic People's Republic of Korea").
BOILERPLATE = 40


@dataclass(frozen=True)
class Duplicate:
    """Two texts that share words in order: `overlap` of the shorter one's shingles, 0 to 1."""

    first: str
    second: str
    overlap: float


def normalize(text: str) -> str:
    """Return the words of a text alone: lower case, single spaces, no punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def shingles(text: str) -> set[str]:
    """Return the runs of five words; a shorter text is one run."""
    words = normalize(text).split()
    if len(words) <= SHINGLE:
        return {" ".join(words)} if words else set()
    return {" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def near_duplicates(texts: Mapping[str, str], threshold: float = 0.4) -> list[Duplicate]:
    """Find pairs of texts whose shingles overlap: |A & B| / min(|A|, |B|) >= threshold.

    Containment and not Jaccard, because a short text copied into a long one leaks too. Of texts whose words are
    equal, however many, the first stands for the others and is paired with each.
    """
    sizes: dict[str, int] = {}
    holders: dict[str, list[str]] = defaultdict(list)
    equal: dict[str, list[str]] = defaultdict(list)  # by their words
    for key, text in texts.items():
        if words := normalize(text):
            equal[words].append(key)
    for key in (keys[0] for keys in equal.values()):
        own = shingles(texts[key])
        sizes[key] = len(own)
        for shingle in own:
            holders[shingle].append(key)
    shared: Counter[tuple[str, str]] = Counter()
    for keys in holders.values():
        if len(keys) <= BOILERPLATE:
            shared.update((a, b) for i, a in enumerate(keys) for b in keys[i + 1 :])
    pairs = [Duplicate(first, other, 1.0) for first, *others in equal.values() for other in others]
    pairs += [
        Duplicate(a, b, count / min(sizes[a], sizes[b]))
        for (a, b), count in shared.items()
        if count >= threshold * min(sizes[a], sizes[b])
    ]
    return sorted(pairs, key=lambda pair: (-pair.overlap, pair.first, pair.second))


def group(keys: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each key the smallest key that it is linked to, directly or by way of others."""
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return {key: root(key) for key in parent}


def link(texts: Mapping[str, str]) -> tuple[list[Duplicate], dict[str, str]]:
    """Return the pairs of near-duplicates, and for each text the group that they put it in."""
    duplicates = near_duplicates(texts)
    return duplicates, group(texts, [(pair.first, pair.second) for pair in duplicates])


def assign(
    strata: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, float],
    *,
    groups: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    random_state: int = 0,
) -> dict[str, str]:
    """Assign whole articles to parts so that each stratum comes near its share in every part.

    Greedy iterative stratification (Sechidis et al., 2011) over groups of articles.

    Args:
        strata: article id -> rows per stratum (say "authored/neutral": 7).
        shares: part -> share of the rows, adding up to 1.
        groups: article id -> group; a group is never divided.
        fixed: articles that have a part already; they keep it, and their group follows them.
        random_state: breaks ties.

    """
    groups = groups or {}
    fixed = fixed or {}
    members: dict[str, list[str]] = defaultdict(list)
    for key in sorted(strata):
        members[groups.get(key, key)].append(key)
    sums = {name: sum((Counter(strata[k]) for k in keys), Counter()) for name, keys in members.items()}
    total = sum(sums.values(), Counter())
    need = {part: {s: share * n for s, n in total.items()} for part, share in shares.items()}
    order = sorted(members)
    random.Random(random_state).shuffle(order)
    assigned: dict[str, set[str]] = {name: set() for name in members}
    for key, part in fixed.items():
        assigned.setdefault(groups.get(key, key), set()).add(part)
    # Assigned groups first, so that the free ones make up for what is missing; then the largest.
    order.sort(key=lambda name: (not assigned[name], -sums[name].total()))
    result: dict[str, str] = {}
    for name in order:
        part = min(assigned[name], default=None) or max(
            shares, key=lambda p: sum(need[p][s] * n / total[s] for s, n in sums[name].items() if n)
        )
        for key in members[name]:
            result[key] = fixed.get(key, part)
        for stratum, n in sums[name].items():
            need[part][stratum] -= n
    return result


def leaks(texts: Sequence[tuple[str, str, str]], threshold: float = 0.8) -> list[Duplicate]:
    """Find sentences (key, part, text) of different parts that say the same; of equal ones each is in a pair."""
    equal: dict[tuple[str, str], list[str]] = defaultdict(list)  # by part and words; the first stands for the others
    for key, part, text in texts:
        equal[part, normalize(text)].append(key)
    words = {keys[0]: (part, own) for (part, own), keys in equal.items()}
    found: dict[tuple[str, str], Duplicate] = {}
    for pair in near_duplicates({key: own for key, (_, own) in words.items()}, threshold):
        first, second = words[pair.first], words[pair.second]
        # A few words may begin many sentences: short ones are compared as wholes.
        long = min(len(own.split()) for _, own in (first, second)) > SHINGLE
        if first[0] != second[0] and (long or first[1] == second[1]):
            ends = [(key, pair.second) for key in equal[first]] + [(pair.first, key) for key in equal[second]]
            found |= {end: Duplicate(*end, pair.overlap) for end in ends}
    return list(found.values())
