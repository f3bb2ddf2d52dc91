"""Fixtures of the tests of lessons."""

from tests.runs.conftest import data, manager, now

__all__ = ["data", "manager", "now"]
