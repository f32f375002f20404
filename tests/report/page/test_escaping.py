from __future__ import annotations

import json

import pytest

from graphbo.report.page.escaping import label, script_hash, script_json, text

HOSTILE = "</script><script>alert(1)</script><!-- <b> & \"'%{x}$\\frac$"


def test_a_text_is_no_markup() -> None:
    assert text("<b a=\"1\" c='2'>&") == "&lt;b a=&quot;1&quot; c=&#x27;2&#x27;&gt;&amp;"
    assert text("a\nb\tc") == "a\nb\tc"


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\u202e", "\ud800", "\x85"])
def test_what_cannot_be_shown_is_shown_as_such(letter: str) -> None:
    assert text(f"a{letter}b") == "a\N{REPLACEMENT CHARACTER}b"
    text(letter).encode("utf-8")


def test_json_in_a_script_cannot_end_it_and_is_the_same_value() -> None:
    value = {HOSTILE: [HOSTILE, 1.5, None, True, "\ud800", "\u2028"]}
    content = script_json(value)
    assert not set("<>&") & set(content)
    assert content.isascii()
    assert json.loads(content) == value


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert script_json([float("nan"), (float("inf"), 1.0)]) == "[null,[null,1.0]]"


def test_a_label_has_no_tag_template_or_formula_of_plotly() -> None:
    shown = label(HOSTILE)
    assert not set("<>%$") & set(shown)
    assert "\"'" in shown, "quotes are no entities to plotly"
    assert len(label("x" * 1000)) == 80
    assert label("a\n  b") == "a b"


def test_the_hash_is_what_browsers_compute() -> None:
    # From the specification of Content Security Policy, level 2.
    assert (
        script_hash("alert('Hello, world.');")
        == "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    )
