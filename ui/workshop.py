"""What all sessions of one server share: the runs, the generators and what they are compared with. Modules are shared by scripts and routes."""

import functools
import os

from gan.course.progress import CourseProgress
from gan.doctor.checkup import Checkups
from gan.explore.models import ModelCache
from gan.explore.translators import TranslatorCache
from gan.inside.files import NetworkCache
from gan.judging.evaluation import Evaluations
from gan.judging.judge import JudgeCache
from gan.owners import Guesses, Tickets
from gan.runs.manager import RunManager
from gan.runs.run import checkpoints_root


@functools.cache
def manager() -> RunManager:
    """The server's one RunManager, made when it is first asked for.

    Raises:
        ValueError: an environment variable is invalid, or the cluster that WORKSHOP_RAY names cannot be reached.
    """
    made = RunManager(checkpoints_root())
    if os.environ.get("WORKSHOP_RAY"):
        from gan.cluster.ray_cluster import from_environment  # only there is Ray needed

        made.cluster = from_environment(made.max_runs)
    return made


@functools.cache
def models() -> ModelCache:
    """The server's one cache of loaded generators."""
    return ModelCache(checkpoints_root())


@functools.cache
def translators() -> TranslatorCache:
    """The server's one cache of loaded generators that translate images."""
    return TranslatorCache(checkpoints_root())


@functools.cache
def network_cache() -> NetworkCache:
    """The server's one cache of networks that are looked into."""
    return NetworkCache()


@functools.cache
def checkups() -> Checkups:
    """The server's one memory of what the doctor has found."""
    return Checkups()


@functools.cache
def judges() -> JudgeCache:
    """The server's one cache of what knows data sets, which runs that are judged while they train share."""
    return manager().judges


@functools.cache
def evaluations() -> Evaluations:
    """The server's one memory of generators that were judged."""
    return Evaluations()


@functools.cache
def tickets() -> Tickets:
    """The server's one memory of tabs that are a host's."""
    return Tickets()


@functools.cache
def guesses() -> Guesses:
    """The server's one memory of wrong tokens."""
    return Guesses()


@functools.cache
def course_progress() -> CourseProgress:
    """The server's one memory of how far visitors are in the course."""
    return CourseProgress(checkpoints_root())
