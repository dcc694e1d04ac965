"""Every module imports, and every example in a docstring is true."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

from opinionwatch import alerts, connectors, models, pipeline


def modules(package: ModuleType) -> list[str]:
    """The package and everything in it."""
    found = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    return [package.__name__, *(module.name for module in found)]


ALL = [name for package in (pipeline, models, connectors, alerts) for name in modules(package)]


@pytest.mark.parametrize("name", ALL)
def test_a_module_imports_says_what_it_is_and_its_examples_are_true(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0
