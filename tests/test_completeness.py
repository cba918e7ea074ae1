"""Nothing is half there: every code has its rule, every rule its test, its source and its line in the README."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest

from probes.catalogue import CATALOGUE
from probes.clients import FAMILIES
from probes.model import Rule
from probes.rules import RULES
from tests.endpoints.schema import CODES, MODES
from tests.endpoints.schema import FAMILIES as NAMED_FAMILIES

HOUSE = Path(__file__).parent.parent
BY_CODE = {rule.code: rule for rule in RULES}
LOOKED_AT = {0, 1, 2, 3, 4, 5, 6, 7}  # the modes whose codes are all judged already; 8 comes with its probes

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def module_name(code: str) -> str:
    return code.replace(".", "_").replace("-", "_")


def test_the_catalogue_in_code_is_the_catalogue_agreed_on() -> None:
    assert sorted(CATALOGUE) == sorted(CODES)
    assert {code: entry.mode for code, entry in CATALOGUE.items()} == {c: MODES[c.partition(".")[0]] for c in CODES}


def test_no_two_rules_share_a_code() -> None:
    assert [code for code, count in Counter(rule.code for rule in RULES).items() if count > 1] == []


def test_every_rule_is_in_the_catalogue() -> None:
    assert set(BY_CODE) - set(CATALOGUE) == set()


def test_every_code_that_is_looked_at_has_its_rule() -> None:
    wanted = {code for code, entry in CATALOGUE.items() if entry.mode in LOOKED_AT}
    assert wanted - set(BY_CODE) == set()


def test_every_rule_module_is_listed() -> None:
    """A file that holds a RULE and stands not in RULES would never speak."""
    for path in (HOUSE / "probes" / "rules").glob("*.py"):
        module = importlib.import_module(f"probes.rules.{path.stem}") if path.stem != "__init__" else None
        if module is not None and hasattr(module, "RULE"):
            assert module.RULE in RULES, path.name


@each_rule
def test_a_rule_lives_in_the_file_of_its_code_and_says_when_it_is_true(rule: Rule) -> None:
    module = importlib.import_module(f"probes.rules.{module_name(rule.code)}")
    assert rule is module.RULE
    assert module.__doc__ and len(module.__doc__) > 40


@each_rule
def test_a_rule_names_where_its_truth_is_written_down(rule: Rule) -> None:
    assert any(word in rule.source for word in ("RFC ", "Baseline Requirements")), rule.source
    assert any(character.isdigit() for character in rule.source)


@each_rule
def test_a_rule_has_its_test_file_with_three_tests_at_least(rule: Rule) -> None:
    path = HOUSE / "tests" / "rules" / f"test_{module_name(rule.code)}.py"
    assert path.is_file()
    text = path.read_text(encoding="utf-8")
    assert text.count("\ndef test_") >= 3
    assert "fires(" in text
    assert f'silent("{rule.code}"' in text


def test_every_rule_has_its_row_in_the_readme() -> None:
    readme = (HOUSE / "README.md").read_text(encoding="utf-8")
    assert [rule.code for rule in RULES if f"`{rule.code}`" not in readme] == []


def test_every_family_is_named_as_in_the_catalogue_and_in_its_order() -> None:
    assert [family.name for family in FAMILIES] == NAMED_FAMILIES


def test_codes_without_a_rule_are_those_whose_probes_do_not_exist_yet() -> None:
    missing = set(CATALOGUE) - set(BY_CODE)
    assert all(CATALOGUE[code].mode == 8 for code in missing), missing
