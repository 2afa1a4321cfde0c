"""Questions are found in text wherever they are, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from contamination_cases import index_of, plain_scan, plain_words
from hypothesis import given, settings
from hypothesis import strategies as st

import evals.contamination.scan as scan_module
from evals.contamination.characters import by_the_rules, normalise
from evals.contamination.matches import Matcher
from evals.contamination.needles import QuestionIndex
from evals.contamination.scan import Findings, Scanned, Scanner
from evals.contamination.words import find_words, words_of

QUESTION = "Which river did the old ferryman cross by night, and for whom did he wait?"
FILLER = "nothing of that sort is said here at all "


def scan(index: QuestionIndex, texts: Sequence[str | bytes]) -> Findings:
    documents = [
        Scanned("data.jsonl", n, text.encode() if isinstance(text, str) else text)
        for n, text in enumerate(texts, 1)
    ]
    return Scanner(index).scan(documents)


def longest(index: QuestionIndex, findings: Findings) -> dict[int, int]:
    """Return needle number -> words of its longest match."""
    best: dict[int, int] = {}
    matcher = Matcher(index)
    for anchor, text in findings.passages:
        for match in matcher.matches(anchor, text.encode()):
            number = match.needle.number
            best[number] = max(best.get(number, 0), match.num_words)
    return best


def answered(findings: Findings) -> list[tuple[int, ...]]:
    return [document.answered for document in findings.found]


def found_lines(findings: Findings) -> list[int]:
    return [document.number for document in findings.found]


@pytest.mark.parametrize(
    "planted",
    [
        QUESTION,
        QUESTION.upper(),
        re.sub(r"\W+", "\n\t- ", QUESTION),
        QUESTION.replace("ferryman", "ferry\u00adman").replace("f", "\uff46"),
        f"{FILLER * 50}{QUESTION}{FILLER * 50}",
    ],
    ids=["as it is", "other case", "other punctuation", "other code points", "inside"],
)
def test_question_in_a_document_is_found_and_no_other(planted: str) -> None:
    index = index_of([QUESTION, "Why " + QUESTION.replace("r", "l")])
    findings = scan(index, [FILLER.replace("sort", "kind"), planted])
    assert found_lines(findings) == [2]
    assert longest(index, findings) == {0: 15}


def test_question_with_a_changed_word_is_found_by_its_longer_part() -> None:
    index = index_of([QUESTION], ngram=8)
    # The 5th of 15 words: four before it, ten behind.
    findings = scan(index, [QUESTION.replace("old", "young")])
    assert longest(index, findings) == {0: 10}


def test_question_with_a_changed_word_is_not_found_by_too_short_parts() -> None:
    index = index_of([QUESTION], ngram=8)
    assert scan(index, [QUESTION.replace("by", "at")]).found == ()


def test_words_are_not_joined_across_documents() -> None:
    index = index_of([QUESTION], ngram=8)
    words = QUESTION.split()
    halves = [" ".join(words[:7]), " ".join(words[7:14])]
    assert scan(index, halves).found == ()


def test_short_question_is_found_as_a_whole_only() -> None:
    index = index_of(["who painted the ceiling"])
    texts = ["Who painted the wall?", "who painted the", "So, who painted the ceiling!"]
    findings = scan(index, texts)
    assert found_lines(findings) == [3]
    assert findings.passages == ((0, "who painted the ceiling"),)


def test_whole_question_at_a_border_of_documents_is_not_found() -> None:
    index = index_of(["who painted the ceiling"])
    assert scan(index, ["who painted", "the ceiling"]).found == ()


@pytest.mark.parametrize("gap", [0, 49, 50, 51])
def test_answer_counts_as_near_within_its_window(gap: int) -> None:
    index = index_of([QUESTION], answers=["The Styx!"])
    near = answered(scan(index, [f"{QUESTION} {'so ' * gap}the styx", QUESTION]))
    # "the styx" are two words, and the window holds 50.
    assert near == [(0,) if gap <= 48 else (), ()]


def test_answer_within_the_question_itself_is_not_near() -> None:
    index = index_of([QUESTION], answers=["ferryman"])
    assert answered(scan(index, [QUESTION, "the ferryman"])) == [()]
    assert answered(scan(index, [f"{QUESTION} ferryman"])) == [(0,)]


def test_part_of_a_word_is_no_answer() -> None:
    index = index_of([QUESTION], answers=["styx"])
    assert answered(scan(index, [f"{QUESTION} Styxes, prestyx"])) == [()]


@pytest.mark.parametrize("words", [4, 20])
def test_words_with_equal_hashes_are_not_taken_for_each_other(words: int) -> None:
    # Only the ends of long words are hashed; what is between is compared.
    asked = " ".join(["beginningOFtheending"] * words)
    other = asked.replace("OF", "TO")
    hashes = [find_words(normalise(one.encode())).hashes_W for one in (asked, other)]
    assert hashes[0].tolist() == hashes[1].tolist()
    index = index_of([asked])
    assert scan(index, [other]).found == ()
    assert found_lines(scan(index, [other, asked])) == [2]


def test_document_of_megabytes_without_a_space_is_scanned() -> None:
    index = index_of([QUESTION])
    blob = "x" * 9_000_000
    assert found_lines(scan(index, [blob, f"{blob} {QUESTION} {blob}"])) == [2]


def test_bytes_that_are_no_utf8_separate_words() -> None:
    index = index_of([QUESTION])
    broken = QUESTION.encode().replace(b" ", b"\xff")
    assert found_lines(scan(index, [broken])) == [1]


def test_no_document_gives_nothing() -> None:
    findings = scan(index_of([QUESTION]), [])
    assert (findings.documents, findings.passages, findings.found) == (0, (), ())
    assert scan(index_of([QUESTION]), ["", "  ", "..."]).documents == 3


def test_same_words_over_and_over_are_cut_without_loss() -> None:
    index = index_of(["ab " * 30 + "cd"], ngram=8)
    findings = scan(index, ["ab " * 1000 + "cd"])
    assert longest(index, findings) == {0: 31}
    assert max(len(text.split()) for _, text in findings.passages) <= 62


WORDS = st.sampled_from(
    ["a", "B", "c9", "\u00c9t\u00e9", "\u03a3", "averylongwordofmany"]
)
SEPARATORS = st.sampled_from([" ", "\n", ", ", "_", "\u2003", "\u2026"])
TEXTS = st.lists(st.tuples(WORDS, SEPARATORS), max_size=40).map(
    lambda pairs: "".join(word + separator for word, separator in pairs)
)


@settings(max_examples=60, deadline=None)
@given(
    questions=st.lists(TEXTS, min_size=1, max_size=4),
    documents=st.lists(TEXTS, max_size=5),
    ngram=st.sampled_from([None, 3, 5, 9]),
    batch_bytes=st.sampled_from([1, 100, 2**20]),
    block_words=st.sampled_from([1, 7, 2**19]),
)
def test_scan_finds_what_comparing_everything_finds(
    questions: list[str],
    documents: list[str],
    ngram: int | None,
    batch_bytes: int,
    block_words: int,
) -> None:
    index = index_of(questions, ngram=ngram)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "BATCH_BYTES", batch_bytes)
        patch.setattr(scan_module, "BLOCK_WORDS", block_words)
        findings = scan(index, documents)
    assert longest(index, findings) == plain_scan(index, documents)
    # Batches and blocks are only a matter of speed.
    assert findings == scan(index, documents)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=40), filler=st.sampled_from(["", "Fill_er\u00e9 " * 300]))
def test_words_are_those_of_the_plain_rules(text: str, filler: str) -> None:
    whole = f"{filler}{text}{filler}{text}"
    wanted = [word.encode() for word in plain_words(whole) if word]
    assert words_of(whole) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u00df", ["ss"]),
        ("\u1100\u1161 = \uac00", ["\uac00", "\uac00"]),
        ("\uff76\uff9e", ["\u30ac"]),
        ("e\u0301\u00ad\u00e9", ["\u00e9\u00e9"]),
        ("=\u0338", []),
        ("\u05d0\u0591\u05b0", ["\u05d0\u05b0\u0591"]),
        ("\u00bd \u2122 \u2026", ["1", "2", "tm"]),
    ],
)
def test_characters_that_become_others_do_so_anywhere(
    text: str, words: list[str]
) -> None:
    filler = "word " * 300
    encoded = [word.encode() for word in words]
    assert words_of(text) == encoded
    assert words_of(f"{text} {filler}") == [*encoded, *[b"word"] * 300]
    assert words_of(f"{filler}{text}") == [*[b"word"] * 300, *encoded]


def test_each_character_is_as_the_plain_rules_say() -> None:
    texts = [f"a{chr(point)}b =\u0338{chr(point)}" for point in range(0, 0x30000, 29)]
    for text in texts:
        encoded = text.encode("utf-8", "replace")
        by_rules = by_the_rules(encoded.decode("utf-8", "replace")).split()
        assert normalise(encoded).split() == by_rules
