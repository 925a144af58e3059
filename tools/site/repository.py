"""Makes the site of docs/ whole: its pages link to files of the repository that lie elsewhere, and those links lead somewhere, too.

README.md is the first page. Another file that a page links to becomes the page repository/PATH: Markdown as it is, other text as a listing of it, a
folder as a list of its files. What such pages link to follows. In a checkout the same links lead to the files themselves.
"""
import os
import pathlib
import posixpath
import re
from typing import Any

from mkdocs.structure.files import File

LINK = re.compile(r"(\]\()([^()\s#]+)((?:#[^()\s]*)?\))")
ROOT = pathlib.Path(__file__).resolve().parents[2]
LANGUAGES = {".h": "cpp", ".hpp": "cpp", ".cpp": "cpp", ".py": "python", ".json": "json", ".yml": "yaml", ".toml": "toml", ".txt": "text", ".jsonl": "json", ".in": "text"}
SHOWN = {".ipynb"}  # as they are: no listing helps
MOST = 400_000  # bytes of a listing
ELSEWHERE = {"README.md": "index.md", "docs/commands/README.md": "commands/commands.md"}


def page_of(path: str) -> str:
    """The site's file of a file of the repository."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).suffix in SHOWN:
        return f"repository/{path}"
    return f"repository/{path}" if path.endswith(".md") else f"repository/{path}.md"


def repository_path(source: str, link: str) -> str | None:
    """What a link in a file of the repository leads to; None: nothing of the repository."""
    if ":" in link or link.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def rewritten(text: str, source: str) -> str:
    """The Markdown of a file, with links that fit the site."""
    here = posixpath.dirname(page_of(source))

    def one(found: re.Match[str]) -> str:
        path = repository_path(source, found[2])
        return found[0] if path is None else found[1] + posixpath.relpath(page_of(path), here or ".") + found[3]

    return LINK.sub(one, text)


def linked(text: str, source: str) -> set[str]:
    return {path for found in LINK.finditer(text) if (path := repository_path(source, found[2])) is not None}


def markdown_of(path: str) -> str:
    """Of a file of the repository that lies outside docs, its links not yet rewritten."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(os.listdir(file))
        return f"# {path}\n\n" + "".join(f"- `{name}`\n" for name in names if not name.startswith((".", "__")))
    if path.endswith(".md"):
        return file.read_text()
    if file.stat().st_size > MOST:
        raise ValueError(f"{path} is linked, and too long for a page")
    fence = "~~~~"
    return f"# {path}\n\n{fence} {LANGUAGES.get(file.suffix, 'text')}\n{file.read_text()}\n{fence}\n"


def on_config(config: Any) -> Any:
    """Folders of pages in the navigation: "nodes/*"."""
    def expanded(entries: list[Any]) -> list[Any]:
        out: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                out.append({name: expanded(value) if isinstance(value, list) else value for name, value in entry.items()})
            elif entry.endswith("/*"):
                folder = pathlib.Path(config.docs_dir) / entry[:-2]
                out += [f"{entry[:-2]}/{path.name}" for path in sorted(folder.glob("*.md")) if path.name != "README.md"]
            else:
                out.append(entry)
        return out

    config.nav = expanded(config.nav)
    return config


def on_files(files: Any, config: Any) -> Any:
    docs = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    open_paths = [*ELSEWHERE, *sorted(named(config.nav)), *docs]
    known = set(open_paths)
    while open_paths:
        path = open_paths.pop()
        inside = path.startswith("docs/") and path not in ELSEWHERE
        if inside and not path.endswith(".md"):
            continue  # pictures and tables are the site's already
        if (ROOT / path).suffix in SHOWN:
            files.append(File.generated(config, page_of(path), content=(ROOT / path).read_bytes()))
            continue
        text = (ROOT / path).read_text() if inside else markdown_of(path)
        if not inside:
            files.append(File.generated(config, page_of(path), content=rewritten(text, path)))
        new = linked(text, path) - known if path.endswith(".md") else set()
        known |= new
        open_paths += sorted(new)
    return files


def named(entries: list[Any]) -> set[str]:
    """Files outside docs that the navigation names."""
    out: set[str] = set()
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                out |= named(value)
            elif value.startswith("repository/"):
                path = value.removeprefix("repository/")
                out.add(path if (ROOT / path).exists() else path.removesuffix(".md"))
    return out


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    source = page.file.src_uri
    return markdown if page.file.generated_by else rewritten(markdown, f"docs/{source}")
