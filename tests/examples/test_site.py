"""What the documentation site does to pages, and what its check finds."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
extension = runpy.run_path(str(DOCS / "site_extension.py"))
rewrite_links, keep_layout = extension["rewrite_links"], extension["keep_layout"]
broken_links = runpy.run_path(str(DOCS / "check_site.py"))["broken_links"]
HOST = "https://host.example/us/vamdp"


@pytest.mark.parametrize(
    ("link", "folder", "with_address", "without"),
    [
        (
            "[a](../examples/own_tasks.py)",
            "docs",
            f"[a]({HOST}/blob/main/examples/own_tasks.py)",
            "[a](../examples/own_tasks.py)",
        ),
        ("[`b`](../benchmarks)", "docs", f"[`b`]({HOST}/tree/main/benchmarks)", "`b`"),
        ("[c](settings.md#x)", "docs", "[c](settings.md#x)", "[c](settings.md#x)"),
        ("[d](../../CONTRIBUTING.md#x)", "docs/notebooks", *["[d](../contributing.md#x)"] * 2),
        ("[e](docs/own_tasks.md)", ".", *["[e](own_tasks.md)"] * 2),
        ("[f](../README.md#train)", "docs", *["[f](index.md)"] * 2),
        ("![g](../quickstart.png)", "docs/notebooks", *["![g](../quickstart.png)"] * 2),
        ("[h](https://arxiv.org/abs/1)", "docs", *["[h](https://arxiv.org/abs/1)"] * 2),
        ("[i](no_such_page.md)", "docs", *["[i](no_such_page.md)"] * 2),
    ],
)
def test_links_of_pages_work_on_the_site(link, folder, with_address, without):
    assert rewrite_links(f"see {link}.", folder, HOST) == f"see {with_address}."
    assert rewrite_links(f"see {link}.", folder, "") == f"see {without}."


def test_formulas_of_a_docstring_keep_their_lines_and_sections_stay_as_they_are():
    formula = ["The sum is", "", "    a", "", "    + b", "", "of both."]
    assert keep_layout(formula) == ["The sum is", "", "::", "", *formula[2:]]
    section = ["Args:", "    a: First.", "", "        More of it.", "", "Returns:", "    b."]
    assert keep_layout(section) == section


def test_the_check_finds_what_leads_nowhere(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<p id="here"><a href="../a.html">a</a>')
    (tmp_path / "a.html").write_text(
        '<a href="other/#here">1</a> <a href="#top">2</a> <a href="https://x.example/">3</a>'
        '<a href="other/index.html#gone">4</a> <img src="no.png"> <a href="gone.html">5</a>'
        '<h1 id="top">'
    )
    assert sorted(broken_links(tmp_path)) == [
        "a.html: gone.html",
        "a.html: no.png",
        "a.html: other/index.html#gone",
    ]
