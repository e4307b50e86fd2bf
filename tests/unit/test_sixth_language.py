"""A further language is a folder of texts and its name in the settings: as docs/languages.md says."""

from __future__ import annotations

import shutil
from pathlib import Path

from ivr_engine.site.check import check
from ivr_engine.site.loader import load
from ivr_engine.site.opt_outs import Answer
from ivr_engine.site.texts import read_texts

ROOT = Path(__file__).parents[2]
SPOKEN = ("languages: [en, de, it, es, fr]", "languages: [en, de, it, es, fr, nl]")


def _changed(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


def test_adding_a_language(tmp_path: Path) -> None:
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    prompts = shutil.copytree(ROOT / "prompts", tmp_path / "prompts")

    # 1. a folder, copied from one that is there
    shutil.copytree(prompts / "en", prompts / "nl")
    # 2. its name
    _changed(config / "site.yaml", SPOKEN)
    # 3. the text messages
    _changed(
        config / "sms.yaml",
        (
            '    en: "{brand}: Thank',
            '    nl: "{brand}: Bedankt voor het wachten. STOP"\n    en: "{brand}: Thank',
        ),
        ('        en: "{brand}: Please', '        nl: "{brand}: Een foto?"\n        en: "{brand}: Please'),
        ('        en: "{brand}: Opening', '        nl: "{brand}: Vragen?"\n        en: "{brand}: Opening'),
    )
    answers = "".join(f'  {answer}: {{nl: "{{brand}}: STOP"}}\n' for answer in Answer)
    _changed(config / "sms.yaml", ("opt_out:\n", f"opt_out:\n{answers}"))
    # 4. a key for callers to choose it
    _changed(config / "flows.yaml", ("4: es, 5: fr}", "4: es, 5: fr, 6: nl}"))
    _changed(prompts / "nl/texts.yaml", ("For English, press 1.", "Voor Nederlands, toets 6."))

    problems = check(config, prompts, None)
    assert not problems, problems
    lines, errors = read_texts(load(config), prompts)
    assert not errors
    assert {line.language for line in lines} == {"en", "de", "it", "es", "fr", "nl"}


def test_a_language_without_its_folder_is_found(tmp_path: Path) -> None:
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    _changed(config / "site.yaml", SPOKEN)
    found = [problem.what for problem in check(config, ROOT / "prompts", None)]
    assert any("'nl'" in what for what in found), found
