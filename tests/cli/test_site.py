"""The documentation as a site: it builds without a warning, every link of it leads somewhere, it loads nothing from elsewhere, and the files that others
look for (CITATION.cff, SECURITY.md, NOTICE) are what they should be."""
import html.parser
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import unittest
import urllib.parse

import jsonschema
import yaml

import support

BUILDER = pathlib.Path(os.environ.get("FLOWRUN_VENV", sys.prefix)) / "site"
ROOT = support.ROOT


class Page(html.parser.HTMLParser):
    """What a page names: anchors, links, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.add(found["href"])
        for key in ("src", "data"):
            if found.get(key):
                self.loads.add(found[key])
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev") and found.get("href"):
            self.loads.add(found["href"])


class Pictures(support.Folder):
    def test_the_picture_of_results_is_that_of_the_cells(self):
        for name in ("depth.py", "hidden_layers.jsonl"):
            (self.folder / name).write_bytes((ROOT / "docs/results" / name).read_bytes())
        subprocess.run([sys.executable, self.folder / "depth.py"], check=True)
        self.assertEqual((self.folder / "hidden_layers.svg").read_text(), (ROOT / "docs/results/hidden_layers.svg").read_text(),
                         "python3 docs/results/depth.py draws it anew")


@unittest.skipUnless(BUILDER.is_dir(), f"no {BUILDER}: tools/setup --test")
class Site(support.Folder):
    def test_it_builds_and_every_link_leads_somewhere(self):
        environment = {**os.environ, "PYTHONPATH": str(BUILDER), "PYTHONDONTWRITEBYTECODE": "1", "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", self.folder / "site"], cwd=ROOT, env=environment, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("WARNING", done.stderr)
        site = self.folder / "site"
        pages = {path.relative_to(site).as_posix(): Page(path.read_text()) for path in site.rglob("*.html")}
        del pages["404.html"]  # its paths are those of a site at the root of a server
        self.assertGreater(len(pages), 100)
        for name, page in pages.items():
            for link in page.loads | page.links:
                url = urllib.parse.urlsplit(link)
                if url.scheme or url.netloc:
                    self.assertIn(link, page.links - page.loads, f"{name} loads {link} from elsewhere")
                    continue
                target = pathlib.Path(os.path.normpath(site / name / ".." / urllib.parse.unquote(url.path))) if url.path else site / name
                target = target / "index.html" if target.is_dir() else target
                self.assertTrue(target.is_file(), f"{name}: {link} leads nowhere")
                found = pages.get(target.relative_to(site).as_posix())
                if url.fragment and found and link in page.links and not url.fragment.startswith("__"):  # __: of the theme's own parts
                    self.assertIn(urllib.parse.unquote(url.fragment), found.anchors, f"{name}: {link} names no heading")
        # The way through: all pages of docs stand in the navigation of the first one, or in a folder's.
        text = (site / "index.html").read_text()
        for path in (ROOT / "docs").glob("*.md"):
            self.assertIn(f'href="{path.stem}.html"', text, f"mkdocs.yml's nav has no {path.name}")
        self.assertIn("model.predictor", (site / "repository/pipelines/pretrain.json.html").read_text())


class Files(support.Folder):
    def test_citation(self):
        """The parts of CITATION.cff 1.2.0 that this file uses."""
        citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
        text = {"type": "string", "minLength": 1}
        person = {"type": "object", "properties": {key: text for key in ("name", "family-names", "given-names")}, "minProperties": 1, "additionalProperties": False}
        reference = {"type": "object", "required": ["type", "title", "authors"], "properties": {
            "type": {"enum": ["article", "software", "report", "conference-paper"]}, "title": text, "authors": {"type": "array", "items": person, "minItems": 1},
            "year": {"type": "integer"}, "url": text, "doi": text, "notes": text}, "additionalProperties": False}
        schema = {"type": "object", "required": ["cff-version", "message", "title", "authors"], "additionalProperties": False, "properties": {
            "cff-version": {"const": "1.2.0"}, "message": text, "title": text, "type": {"enum": ["software", "dataset"]}, "abstract": text, "version": text,
            "license": text, "authors": {"type": "array", "items": person, "minItems": 1}, "keywords": {"type": "array", "items": text},
            "references": {"type": "array", "items": reference}}}
        jsonschema.validate(citation, schema)
        version = re.search(r'version = "([^"]+)"', (ROOT / "graph/contract/version.h").read_text())[1]
        self.assertEqual((citation["version"], citation["license"]), (version, "Apache-2.0"))

    def test_notice_names_what_is_linked_and_bundled(self):
        """NOTICE against the libraries of this build, by the code that bundles them for a wheel."""
        sys.path.insert(0, str(ROOT))
        from tools.wheel_kit import bundle
        sections = (ROOT / "NOTICE").read_text().split(":\n\n")[1:]
        linked, compiled, used = (set(re.findall(r"(?m)^  (\S+) +\S", section)) for section in sections)
        programs = [path for path in support.FLOWRUN.parent.iterdir() if path.name == "flowrun" or path.suffix == ".so"]
        found = {name.split(".so")[0] for program in programs for name in bundle.libraries(program) if name != bundle.STAND_IN}
        # libspdlog.so.1.10, libpng16.so.16; libsharpyuv is libwebp's from 1.3 on.
        self.assertEqual(linked - {"libsharpyuv"}, found - {"libsharpyuv"})
        self.assertEqual(compiled, {*bundle.HEADERS, "nanobind", "robin_map"})
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = [*project["dependencies"], *(entry for extra in project["optional-dependencies"].values() for entry in extra)]
        self.assertEqual(used, {re.match(r"[\w-]+", entry)[0] for entry in wanted})
        self.assertEqual(project["license-files"], ["LICENSE", "NOTICE"])


if __name__ == "__main__":
    support.main()
