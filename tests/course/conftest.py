"""Fixtures of the tests of lessons."""

from tests.runs.conftest import data, manager

__all__ = ["data", "manager"]
