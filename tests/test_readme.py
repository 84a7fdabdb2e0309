"""The commands and Python examples of README and docs: options and settings exist, examples compile and import."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import smplifyx
from smplifyx.cli.main import build_parser
from smplifyx.cli.options import split_dotted
from smplifyx.config import all_settings, load_config, load_run
from smplifyx.config.fields import leaves
from smplifyx.config.original_names import ORIGINAL_NAMES
from smplifyx.training.settings import GenderTraining, LiftingConfig, VPoserConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LINKING = (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")


def commands() -> list[str]:
    """Lines of code blocks that call smplifyx; those with placeholders for options are left out."""
    texts = [re.sub(r"\\\n +", "", page.read_text()) for page in PAGES]  # a command may go on in a second line
    lines = [line for text in texts for line in re.findall(r"^    (smplifyx .*)$", text, re.MULTILINE)]
    return sorted({line.split("  #")[0].strip() for line in lines if not re.search(r"\.\.\.|\[|NAME$", line)})


def test_there_are_commands() -> None:
    assert len(commands()) > 15


@pytest.mark.parametrize("line", commands())
def test_command_exists(line: str) -> None:
    others, overrides = split_dotted(shlex.split(line)[1:])
    arguments, unknown = build_parser().parse_known_args(others)
    assert unknown == []
    if arguments.command in ("fit", "demo"):
        load_run(None, overrides)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings in links."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        target = (page.parent / path) if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_every_page_is_listed_in_the_readme() -> None:
    text = PAGES[0].read_text()
    for page in PAGES[1:]:
        assert f"](docs/{page.name}" in text, page.name


def test_tests_and_modules_that_the_pages_name_exist() -> None:
    text = "\n".join(page.read_text() for page in LINKING)
    paths = re.findall(r"`pytest ([\w/.]+)`", text) + re.findall(r"`((?:smplifyx|tests|tools)/[\w/]+\.\w+)`", text)
    paths += [f"{name.replace('.', '/')}.py" for name in re.findall(r"python -m ((?:tests|tools)\.[a-z_.]+)", text)]
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / path).exists(), path


def test_settings_that_the_pages_name_exist() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    trainings = (VPoserConfig(), LiftingConfig(), GenderTraining())
    leaves_of_all = (*all_settings(), *(leaf for one in trainings for leaf in leaves(one)))
    names = {leaf.key for leaf in leaves_of_all} | {"run.images", "run.keypoints", "run.output"}
    groups = "|".join({name.partition(".")[0] for name in names} - {"data", "people", "body"})
    keys = re.findall(rf"(?:--|`)((?!\w+\.safetensors)(?:{groups})\.[a-z_.0-9N]*[a-z0-9])(?: |`)", text)
    assert len(keys) > 50
    for key in keys:
        assert re.sub(r"\.(\d|all)\.", ".N.", key) in names, key


def test_yaml_of_the_readme_is_a_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
    (tmp_path / "settings.yaml").write_text(example)
    config = load_config(tmp_path / "settings.yaml")
    assert [stage.shape for stage in config.stages] == [5.0] * 5
    assert config.stages[3].collision == 20.0


def test_python_of_the_readme_uses_public_names() -> None:
    for code in re.findall(r"```python\n(.*?)```", PAGES[0].read_text(), re.DOTALL):
        compile(code, "README.md", "exec")
        for name in re.findall(r"smplifyx\.(\w+)", code):
            assert name in smplifyx.__all__, name


def test_documented_equivalents_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "from_smplifyx.md").read_text()
    rows = re.findall(r"^    --(\w+) .*?  +(--[\w-]+)", page, re.MULTILINE)
    assert len(rows) >= 5
    for name, option in rows:
        assert name in ORIGINAL_NAMES
        assert option in ORIGINAL_NAMES[name].replace("--stages.N", "--stages.4")
