"""The chat page stands alone and says everything in both languages."""

from __future__ import annotations

import base64
import hashlib
import re

from kiban.use.serving.app import _page

HTML, POLICY = _page()
PAGE = HTML.decode()


def words(language: str) -> dict[str, str]:
    block = re.search(rf"\n  {language}: \{{(.*?)\n  \}},", PAGE, flags=re.DOTALL)
    assert block
    return dict(re.findall(r'(\w+): "([^"]*)"', block.group(1)))


def test_it_loads_nothing_from_elsewhere() -> None:
    without_namespace = PAGE.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.|@import|<link[^>]+stylesheet|<script[^>]+src", without_namespace)


def test_its_policy_lets_its_own_script_and_style_run_and_nothing_else() -> None:
    for tag in ("script", "style"):
        (block,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in POLICY
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert not re.search(r"<[^>]+\s(on\w+|style)=", PAGE), "the policy would not let inline handlers and styles work"


def test_both_languages_say_everything_that_is_asked_for() -> None:
    english, japanese = words("en"), words("ja")
    assert set(english) == set(japanese)
    asked = set(re.findall(r'data-say="(\w+)"', PAGE)) | set(re.findall(r'say\("(\w+)"\)', PAGE))
    assert asked
    assert asked <= set(english)


def test_every_field_has_a_label() -> None:
    for tag in re.findall(r"<(?:input|textarea)[^>]*>", PAGE):
        if 'type="hidden"' in tag or 'type="radio"' in tag:
            continue
        (identifier,) = re.findall(r'id="([\w-]+)"', tag)
        assert f'for="{identifier}"' in PAGE or f'{identifier}.setAttribute("aria-label"' in PAGE
