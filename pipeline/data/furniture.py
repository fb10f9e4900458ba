"""Lines that a web page puts around an article's own prose, by what they are.

A rule tests a whole line. Where such a line could be a sentence, its capitals or its end must say that it is none.
"""

from __future__ import annotations

import re

# A word of a credit or a byline: a name, or what joins names. No word holds a blank, so matching takes no time.
WORD = r"(?:[A-Z\d“@]\S*|\S*/\S*|and|of|for|the|in|at|by|via|from|with|[&•·|—–-]|[a-z]+ [^\s/]+/\S+)"
NAMES = rf"{WORD}(?: {WORD}){{0,9}}"
NAME = r"[A-Z][\w.’'-]+(?: [A-Z][\w.’'-]*){1,3}"
WRITERS = rf"(?:{WORD}|writers?|reporters?|correspondents?|editors?|contributors?|staff|also)"
AGENCY = r"(?:REUTERS|Reuters|AP|AP Photo|AFP|Getty Images|EPA|KCNA)"
PICTURE = "Photo|Image|Picture|PHOTO|AP Photo|File"
CAPTION = r"(?:.*[.!?)”\"’] )?\(?"  # and a credit behind it
SHARE = r"(?:facebook|twitter|pinterest|email|share this|share)"

# In any capitals.
LINES = {
    "advertisement": [
        r"advertisement[^\w.]*",
        r"stor(?:y|ies) continue[sd]? below(?: (?:this )?(?:ad|advertisement|video|photo))?\W*",
    ],
    "comments": [
        r"\d+ (?:replies|comments|responses|thoughts) (?:on|to) [“\"‘'].*[”\"’']",
        r"comments are closed\.?",
        r"(?:leave a (?:reply|comment)|post a comment)(?: (?:below|here|cancel reply))*\W*",
        r"have something to add to this story\?.{0,60}",
    ],
    "link": [
        r"continue reading(?: the main story)?\W*",
        r"(?:read|see|watch) (?:more|also|next)(?: on this)?\W*",
        r"(?:read|watch|see) (?:more|also): ?.*[^.!?”\"’')\]]",
        r"more on this\W*|more[:…»]*",
        r"(?:more|related|timeline):\S.*[^.]",
        r"click here (?:to|for) [^,;.!?]{1,80}[.!]?",
        r"slideshow \(\d+ images?\)",
        r"just watched .* must watch .*",
        r"\[pullquote\]",
    ],
    "newsletter": [
        r"(?:sign up|subscribe) (?:for|to) [^,;:.!?]{0,80}newsletters?(?: manage newsletters| here| now| today)?\W*",
        r"get [^.,;!?]{1,120} (?:in|to) your inbox(?:,? (?:each|every|daily)\b.{0,30})?\W*",
        r"interested in .{1,60}\? add .{1,200} add interest\W*|add interest\W*",
        r"like what you[’']re reading\?.{0,80}",
    ],
    "sharing": [rf"{SHARE}(?:\s+{SHARE})*[^\w.]*"],
    "copyright": [
        r"(?:copyright )?©.{0,250}",
        r"(?:copyright .{0,100})?all rights reserved\b(?:\. this material may not be .*)?\W*",
    ],
    "notice": [
        r"media playback is (?:un|not )supported on (?:your|this) device(?: media caption .*)?\W*",
        r"please (?:upgrade|update) your browser\b(?: to .*)?\W*",
        r"please enable javascript\b.{0,80}",
        r"this article is more than \d+ years? old\W*",
    ],
    "caption": [
        r"image copyright \S.{0,60} image caption .*|image copyright [^.!?]{1,70}",
        r"enlarge this image(?: toggle caption .*)?",
        r"(?P<first>photos: .{5,100}?) (?P=first)\b.*",
    ],
    "no words": [r"[\W_]*"],
}
# Capitals count.
SPELLED = {
    "caption": [rf"Cover: .*\([^()]*{AGENCY}[^()]*\)\W*"],
    "byline": [
        rf"(?:By|Analysis by) {NAME}(?:,? and {NAME})?(?:, [^.!?]{{3,90}})?",
        r"Contributing: ?[A-Z].{2,150}",
        r"\((?:[Aa]dditional )?(?:[Rr]eporting|[Ww]riting|[Ee]diting) by [^()]*\)\W*",
        r"(?:• )?(?:Write to|Contact|Follow|Email) [A-Z@].{0,250}(?:@\w[\w.]*|twitter\.com/\w+)\W*",
        rf"(?:Follow|Like) (?:us|me|him|her|them|@\w+|[A-Z]\S*)(?: {WORD})* on (?:Twitter|Facebook|Instagram|X)"
        r"(?: and (?:Twitter|Facebook|Instagram))?(?: @\w+)?\W*",
    ],
    "link": [r"SEE ALSO: .*"],
}
# Lines that begin in any way, each after something that it holds, in small letters: most lines need no search for it.
HOLDING = [
    (":", "caption", rf"{CAPTION}(?:[A-Z]\w+ p|P)hoto(?:s|graph)?(?: (?:by|credit|Credit))?: ?{NAMES}\W*"),
    (":", "caption", rf"{CAPTION}(?:Image|Picture|File photo|Credit)s?(?: by)?: ?{NAMES}\W*"),
    ("/", "caption", rf"(?:.*toggle caption .*|{CAPTION})(?:{NAME} ?[—/] ?)?{AGENCY} ?/ ?{NAMES}\W*"),
    (" (", "caption", rf".* \((?:{PICTURE})(?:: |/| by | from | via | courtesy )[^()]{{1,60}}\)\W*"),
    ("by signing up", "newsletter", r"(?i:.{0,250}\bby signing up,? you agree to .*)"),
    ("contributed r", "byline", r"(?:.{0,200} )?contributed reporting(?: (?:from|to) [^.!?]{1,60})?\W*"),
    (
        "contributed t",
        "byline",
        rf"(?:{AGENCY}|\W*{WRITERS}(?: {WRITERS})+,?) contributed to this (?:report|story|article)\b"
        r"(?:\. .{3,60} also contributed to this report)?\W*",
    ),
    ("read more", "link", r".{10,200}[^.!?,;:] Read more"),
]
# All others in one pattern, whose group says what the line is: one search in place of forty.
OTHERS = re.compile(
    "|".join(
        f"(?P<{kind.replace(' ', '_')}{number}>(?{flag}:{'|'.join(rules)}))"
        for number, (flag, kinds) in enumerate((("i", LINES), ("", SPELLED)))
        for kind, rules in kinds.items()
    )
)
LONGEST = 500  # characters: a longer paragraph that ends like a caption is an article's own
LONG = 80  # characters: nobody says so much twice in the same words, a page shows it twice
REPEATED = re.compile(r"[A-Z][\w.’'-]*(?: (?:[A-Z][\w.’'-]*|of|the|and))+(?<![.!?])|[A-Z]{2,}")


def find_kind(line: str, *, goes_on: bool = False) -> str:
    """Return what a line of a page is; empty for prose. It `goes_on` where it may continue the line before it."""
    if goes_on and line[:1].islower():
        return ""
    line = line[: LONGEST + 1]
    if match := OTHERS.fullmatch(line):
        return str(match.lastgroup)[:-1].replace("_", " ")
    small = line.lower()
    return next((kind for held, kind, rule in HOLDING if held in small and re.fullmatch(rule, line)), "")


def is_repeat(line: str) -> bool:
    """Say whether a line that was there already is the page's repeat, and not the same short answer once more."""
    return len(line) >= LONG and not line.endswith("?") or bool(REPEATED.fullmatch(line))
