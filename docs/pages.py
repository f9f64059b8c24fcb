"""What `mkdocs.yml` cannot say: pages of the site that are kept elsewhere in the repository, or made from the source.

Markdown in the repository links to files by their paths there, so that links work where the repository is browsed.
On the site, a link to a file that is a page becomes a link to that page, and a link to anything else becomes its path
in plain code type.
"""

from __future__ import annotations

import ast
import os.path
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
#: Page -> file of the repository, for pages that are not kept in docs/.
KEPT_ELSEWHERE = {
    "index.md": "README.md",
    "data.md": "data/README.md",
    "card.md": "models/default/card.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
LINK = re.compile(r"(\[[^\]]*\])\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages kept elsewhere, the page of examples and the pages of the API."""
    pages = {page: (ROOT / source).read_text() for page, source in KEPT_ELSEWHERE.items()}
    pages["examples.md"] = _examples()
    for page in _api_pages(config["nav"]):
        module = "headfit." + page.removeprefix("api/").removesuffix(".md")
        pages[page] = f"# {module}\n\n" + "\n\n".join(f"::: {name}" for name in _documented(module)) + "\n"
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """`markdown` with its links to files of the repository turned into links to pages."""
    source = KEPT_ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    page_of = {file: uri for uri, file in KEPT_ELSEWHERE.items()}

    def resolve(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        uri = page_of.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(uri):
            return f"{text}({os.path.relpath(uri, os.path.dirname(page.file.src_uri) or '.')}{anchor})"
        if (ROOT / path).exists():
            return f"`{path}`"
        return match[0]  # mkdocs says what is wrong with it

    return LINK.sub(resolve, markdown)


def _examples() -> str:
    """One section an example: its docstring, then its code."""
    page = "# Examples\n\nEach is a page long, runs in seconds on a CPU, and is run by a test.\n"
    for path in sorted((ROOT / "examples").glob("[0-9]*.py")):
        source = path.read_text()
        text = ast.get_docstring(ast.parse(source)) or ""
        code = source.split('"""', 2)[2].strip()
        page += f"\n## {path.name}\n\n{text}\n\n```python\n{code}\n```\n"
    return page


def _api_pages(nav: Any) -> list[str]:
    """The pages of `nav` in api/."""
    if isinstance(nav, str):
        return [nav] if nav.startswith("api/") else []
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in _api_pages(entry)]


def _documented(module: str) -> list[str]:
    """`module`, and where it has no `__all__` that says what is public, also the modules in it."""
    path = ROOT.joinpath(*module.split("."))
    if not path.is_dir() or "__all__" in (path / "__init__.py").read_text():
        return [module]
    return [module, *sorted(f"{module}.{inner.stem}" for inner in path.glob("[a-z]*.py"))]
