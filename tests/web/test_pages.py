from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import web

STATIC = Path(web.__file__).parent / "static"


class Page(HTMLParser):
    """What a page consists of: (tag, attributes), and the texts in script and style elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture
def page(client: FlaskClient) -> Page:
    response = client.get("/")
    assert response.status_code == 200
    return Page(response.text)


def test_nothing_on_the_page_needs_an_unsafe_policy(page: Page) -> None:
    assert page.inline == []
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action"):
            assert not re.match(r"[a-z]+:|//", attributes.get(name) or ""), (tag, attributes)


def test_all_that_it_links_is_there(page: Page, client: FlaskClient) -> None:
    links = [a.get("src") or a.get("href") for a in page.all("script", "link", "img")]
    assert len(links) >= 4
    for link in filter(None, links):
        with client.get(link) as response:
            assert response.status_code == 200, link


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_scripts_import_what_is_there_and_write_text_as_text(script: Path) -> None:
    text = script.read_text()
    for name in re.findall(r'from "\./([^"]+)"', text):
        assert (STATIC / name).is_file(), name
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in text


def test_every_field_has_a_label_and_every_id_is_there_once(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    labelled = {a["for"] for a in page.all("label")}
    fields = {a["id"] for a in page.all("input", "select")}
    assert len(fields) == 8
    assert fields == labelled
    for name in ("aria-controls", "aria-labelledby", "aria-describedby"):
        for _, attributes in page.elements:
            for target in (attributes.get(name) or "").split():
                assert target in ids


def test_there_is_a_form_for_each_kind_of_job(page: Page) -> None:
    forms = page.all("form")
    assert [form["data-job"] for form in forms] == [
        "checksum_folder",
        "import_csv",
        "count_words",
        "flaky",
        "metronome",
    ]
    for form in forms:
        assert form["action"] == f"/demo/jobs/{form['data-job']}"
