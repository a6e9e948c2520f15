"""Where one sentence of a story ends and the next begins.

The rules are for English stories, read left to right with nothing learnt. A new sentence begins only after
whitespace, so "home.She" stays one word of one sentence.

- After a full stop, whatever follows begins a sentence, in lower case too: models write "he left. she cried."
  and mean two. Abbreviations ask for more: after a title, an initial or "U.S." a word must follow that begins
  sentences and no name ("The", "He"), after "a.m." a capital that is no weekday or month, after "etc." a
  capital, and "e.g." ends nothing.
- After "!" and "?" likewise, but in lower case an exclamation of one word goes on ("Oh! how he wept."), and
  so does speech without quotes ("What a day! said Tom.").
- After "..." only a capital begins a sentence: "Wait... what? Yes." has two.
- Quotes and brackets that close behind the stop belong to the sentence. After a closing quote, lower case
  goes on ('"Stop!" he said.', 'He said, "Stop!" and left.'), and so does a capital where the sentence is
  nothing but speech and its speaker follows ('"Stop!" Tom said.'). A pronoun in lower case after a full stop
  and a quote begins a sentence of a text without capitals. Sentences inside a quotation count one by one.
- A blank line ends a sentence, stop or no stop, and what is left at the end is a sentence too.

The functions are called after every token, on a text that goes on. So a boundary is reported only once
no word that can follow would undo it; where the next word decides, it must be complete.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_STOPS = frozenset(".!?…")
_PARTING = (*_STOPS, "\n")
"""No sentence begins behind another without one of these characters between their words."""
_INSIDE = frozenset(",;:-–—")
"""Punctuation that goes on with a sentence; every other sign but a stop may close it."""
_STEM = re.compile(r"[\W_]*(?P<stem>[^\W_]+)(?P<after>.*)", re.DOTALL)
"""The first letters of a token and what follows them: the I and the 'd of "I'd."""
_QUOTES = frozenset("\"'“”‘’«»")
_OPENERS = "\"'“‘«([{*_"
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
"""An abbreviation with stops inside, without its last one: U.S, p.m, Ph.D."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STARTERS = _words(
    """i he she it we they you his her its our their my your the a an this that these those there here
    then when while after before once since as because although if but and so yet however finally suddenly
    later soon now everyone everybody nobody someone something nothing luckily unfortunately eventually
    instead afterwards meanwhile one what why how who where in on at for from with"""
)
"""Words that begin sentences and are no names, so that they end one even after an abbreviation."""
_PRONOUNS = _words("i he she it we they you his her its our their my your the this that there then")
"""What begins a sentence behind a full stop and a quote in a text without capitals."""
_TITLES = _words(
    """mr mrs ms mx dr prof rev fr st mt ft gen col capt lt sgt cpl maj gov sen rep pres hon messrs mme mlle
    supt det insp cmdr adm sr jr inc co corp ltd bros ave blvd rd"""
)
"""Abbreviations that stand before or behind a name, written with a capital."""
_LOWER_TITLES = _words("mr mrs ms mx dr prof")
"""Those of them that are no other word, recognised in lower case too."""
_MARKS = _words("a b c d f")
_BEFORE_MARKS = _words("a an easy straight solid vitamin plan")
"""Single letters that are no initials where such a word stands before: she got an A, vitamin C."""
_UNITS = _words("etc oz lb lbs hr hrs min mins sec secs yr yrs mi dept est approx tel ext")
"""Abbreviations in the middle of a sentence or at its end: a capital tells."""
_NEVER_LAST = _words("e.g i.e vs cf viz")
_NUMBERED = _words("no nos vol ch pp fig jan feb mar apr jun jul aug sep sept oct nov dec")
"""Abbreviations that a number may follow: No. 5, Dec. 24."""
_CALENDAR = _words(
    """monday tuesday wednesday thursday friday saturday sunday january february march april june july august
    september october november december est edt cst cdt mst mdt pst pdt gmt utc eastern central mountain
    pacific"""
)
"""What goes on with the time before it: 5 p.m. Friday."""
_TIME_WORDS = _CALENDAR | _words(
    """at by around about before after until till from since on every each between and to the exactly almost
    nearly just precisely half past quarter one two three four five six seven eight nine ten eleven twelve"""
)
"""What "At about five p.m." is made of, which begins its sentence and does not end it."""
_SPEECH = _words(
    """said says say asked asks yelled yells shouted shouts cried cries replied replies exclaimed exclaims
    whispered whispers screamed screams answered answers begged muttered mumbled announced declared added
    sighed laughed called thought thinks wondered insisted demanded pleaded responded told"""
)
"""Verbs that name who spoke, behind a quotation."""


class _Token(NamedTuple):
    """A run of characters without whitespace, and where it stands in the text."""

    text: str
    start: int
    end: int
    complete: bool
    """Whether no character can join it any more: whitespace follows."""
    opens_paragraph: bool
    """Whether a blank line stands before it."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with its whitespace put in order.

    Joined by one space they are the text again, up to its whitespace.
    """
    return [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]


def first_sentences(text: str, n: int) -> tuple[str, bool]:
    """Cuts a text where sentence n + 1 begins.

    Args:
        text: All that was told so far; more may follow. Once cut, it stays cut there whatever words follow.
        n: The sentences to keep, at least 1.

    Returns:
        The text up to the end of sentence n and True, or the text as it is and False while there is no more.
    """
    if n < 1:
        raise ValueError(f"at least one sentence must be kept, not {n}")
    if sum(map(text.count, _PARTING)) < n:
        return text, False  # asked after every token, so the answer that needs no reading comes first
    spans = sentence_spans(text)
    if len(spans) <= n:
        return text, False
    return text[: spans[n - 1][1]], True


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence in the text, in characters, without the whitespace between them."""
    tokens: list[_Token] = []
    for match in re.finditer(r"\S+", text):
        start, end = match.span()
        blank_line = bool(tokens) and text.count("\n", tokens[-1].end, start) > 1
        tokens.append(_Token(match.group(), start, end, end < len(text), blank_line))
    if not tokens:
        return []
    first = 0  # of the sentence's tokens
    spans = []
    for i in range(1, len(tokens)):
        if tokens[i].opens_paragraph or _begins_sentence(tokens, first, i):
            spans.append((tokens[first].start, tokens[i - 1].end))
            first = i
    spans.append((tokens[first].start, tokens[-1].end))
    return spans


def ends_with_stop(sentence: str) -> bool:
    """Whether a sentence is finished: a stop at its end, with quotes or brackets behind it at most."""
    return bool(_ending(sentence.rstrip())[1])


def _begins_sentence(tokens: list[_Token], first: int, i: int) -> bool:
    """Whether token i begins a sentence, for good, where token `first` began the one before it."""
    if tokens[i - 1].text[-1].isalnum():
        return False  # a word without a stop, as most are
    letter = next((character for character in tokens[i].text if character.isalnum()), None)
    if letter is None:
        return False
    last = i - 1
    while last > first and not any(c.isalnum() or c in _STOPS for c in tokens[last].text):
        last -= 1  # a quote or an emoji behind a space belongs to what it follows
    word, stop, closers = _ending("".join(token.text for token in tokens[last:i]))
    if not stop:
        return False
    lower, alone = letter.islower(), last == first
    if any(character in _QUOTES for character in closers):
        if lower and not (stop == "." and _word_in(_PRONOUNS, tokens[i])):
            return False
        if lower:
            return _speaker_follows(tokens, i) is False
        if stop != "." and not any(token.text[0] in _QUOTES for token in tokens[first + 1 : last + 1]):
            return _speaker_follows(tokens, i) is False
    if "!" in stop or "?" in stop:
        return not lower or (not alone and _word_in(_SPEECH, tokens[i]) is False)
    if stop != ".":
        return not lower
    if alone and word.isdigit():
        return False  # the number of an item: "1. Eggs"
    return _full_stop_ends(tokens[first : last + 1], word.lstrip(_OPENERS), tokens[i], letter)


def _ending(text: str) -> tuple[str, str, str]:
    """Cuts the end of a would-be sentence into its word, its stop and what closes behind it.

    The stop is empty where there is none. What closes is quotes, brackets, an emoji.
    """
    end = len(text)
    while end and not (text[end - 1].isalnum() or text[end - 1] in _STOPS or text[end - 1] in _INSIDE):
        end -= 1
    start = end
    while start and text[start - 1] in _STOPS:
        start -= 1
    return text[:start], text[start:end], text[end:]


def _full_stop_ends(sentence: list[_Token], word: str, following: _Token, letter: str) -> bool:
    """Whether a full stop behind a word ends its sentence, rather than the word only.

    Args:
        sentence: Its tokens so far.
        word: The last of them without its stop.
        following: The token after the stop.
        letter: The first letter or digit of that token.
    """
    lower = letter.islower()
    name = word.lower()
    if name in _NEVER_LAST:
        return False
    if name in _NUMBERED:
        return not letter.isdigit()
    if name in _UNITS:
        return not lower
    if name in ("a.m", "p.m"):
        only_a_time = all(
            token.text.strip(",").lower() in _TIME_WORDS or token.text[0].isdigit() for token in sentence[:-1]
        )
        return not lower and not only_a_time and _word_in(_CALENDAR, following) is False
    if len(name) == 1 and name.isalpha() and name != "i":
        if len(sentence) > 1 and name in _MARKS and sentence[-2].text.lower() in _BEFORE_MARKS:
            return True
        return _word_in(_STARTERS, following) is True
    if (name in _TITLES and word[0].isupper()) or name in _LOWER_TITLES or _DOTTED.fullmatch(name):
        return not lower and _word_in(_STARTERS, following) is True
    return True


def _word_in(words: frozenset[str], token: _Token) -> bool | None:
    """Whether the token is one of the words ("He'd" counts as "He"); None while it may still grow."""
    match = _STEM.fullmatch(token.text)
    if match is None or not (match["after"] or token.complete):
        return False if token.complete else None
    initial = len(match["stem"]) == 1 and match["after"].startswith(".")  # the A of "J. A. Smith"
    return match["stem"].lower() in words and not initial


def _speaker_follows(tokens: list[_Token], i: int) -> bool | None:
    """Whether one of the three words from token i on is a verb of speech; None while that is open."""
    for token in tokens[i : i + 3]:
        if token.opens_paragraph and token is not tokens[i]:
            return False
        if _word_in(_SPEECH, token):
            return True
        if not token.complete and not ends_with_stop(token.text):
            return None
        if not token.text[-1].isalnum():
            return False  # "Yes." or "Tom, ..." ends what could name the speaker
    return False if len(tokens) >= i + 3 else None
