"""Chooses how many processor threads a run uses, again and again while it trains. Pure: it gets times and knows nothing about torch.

Threads that wait for each other at every operation are fast only if each of them has a core. When another process takes one, two
threads can become thirty times slower, and slower than a single thread. Only a trial shows what is best: a few training
steps on another number of threads.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

SLOWER = 1.3  # fewer threads are tried when steps take this many times their best, and the threads do not get all the processor time
UNHINDERED = 0.9  # if they get this share of the time they could use, steps are slow for another reason, ...
MUCH_SLOWER = 2.0  # ... or something else in this process uses it, which shows only if steps take this many times their best
MARGIN = 1.05  # another number of threads must be this much faster to be kept, so noise does not decide
LOST_S = 0.3  # a trial ends as soon as it has lost this much compared with before, or a whole step
STARVED = 0.75  # threads that get less than this share of the processor time they could use wait for something
ROOM = 0.4  # idle cores per additional thread, before more are tried
WINDOW_S = 1.0  # of training over which steps are averaged
TRIAL_S = 1.0  # minimum training time of a trial, unless it ends early
LEAST_STEPS = 2  # in both
HINDERED_S = 1.5  # windows must be slow for this long before fewer threads are tried
LOOK_S = 1.0  # between two checks of idle cores
ROOM_WAIT_S = 1.0  # cores must be idle for this long before more threads are tried; doubled after each trial that did not pay
BLIND_WAIT_S = 5.0  # the same if the system does not report idle cores
LONGEST_ROOM_WAIT_S = 300.0
CHEAP_WAIT_S = 30.0  # the longest wait after a trial of more threads that lost little; after one that lost much, the longest is ...
COST = 200.0  # ... this many times what it lost
STEADY_S = 5.0  # cores that are idle for this long are more than a gap between two bursts of other work
RETRY_S = 2.0  # before fewer threads are tried again, after a trial that did not pay; doubled each time
LONGEST_RETRY_S = 60.0
HELD_S = 20.0  # more threads that were kept for less than this did not pay
AWAY_S = 2.0  # after this long between two steps, earlier measurements no longer count: the run was scored, or the computer slept
STOPPED = 0.02  # the same after a step of that length that used less than this share of one core: the process was stopped


@dataclass
class _Trial:
    """Some steps on another number of threads.

    Attributes:
        threads: how many.
        before_s: seconds per step before the trial.
        warm: whether steps count already. The first step ever on a number of threads includes setup, so it does not count.
        steps_s: seconds of the steps that count.
        lost_s: how much longer these took than the same number of steps before.
    """

    threads: int
    before_s: float
    warm: bool
    steps_s: list[float] = field(default_factory=list)

    @property
    def mean_s(self) -> float:
        return sum(self.steps_s) / len(self.steps_s)

    @property
    def lost_s(self) -> float:
        return sum(self.steps_s) - len(self.steps_s) * self.before_s

    def verdict(self, step_s: float) -> bool | None:
        """Adds a step of this many seconds. Returns whether to keep this number of threads; None while undecided."""
        if not self.warm:
            self.warm = True
            return None
        self.steps_s.append(step_s)
        if self.lost_s > max(LOST_S, self.before_s):
            return False
        if len(self.steps_s) < LEAST_STEPS or sum(self.steps_s) < TRIAL_S:
            return None
        return self.mean_s * MARGIN < self.before_s


@dataclass(frozen=True)
class _Undo:
    """What fewer threads must beat in their first window.

    Attributes:
        threads: the earlier number.
        before_s: seconds per step with it.
    """

    threads: int
    before_s: float


class ThreadChooser:
    """Chooses the threads of one run.

    Fewer threads are tried when steps have been slow for longer than a window, or, at the start, when the threads get too little
    processor time for that long. Once they are chosen, the first window must show the gain too; otherwise the choice is undone. More are
    tried
    when cores have been idle for a while. Numbers are halved and doubled.

    Attributes:
        threads: how many the run uses, apart from a trial.
    """

    def __init__(self, threads: int, most: int, idle_s: Callable[[], float | None]) -> None:
        """
        Args:
            threads: how many the run starts with.
            most: how many it may use, at least `threads`.
            idle_s: returns the idle core-seconds of the run's cores since some moment; None if unknown.
        """
        self.threads = threads
        self._most = most
        self._idle_s = idle_s
        self._trial: _Trial | None = None
        self._known = {threads}  # numbers of threads that steps have used
        self._recent: deque[tuple[float, float]] = deque()  # of the last steps: wall time and processor time, in seconds
        self._recent_s = 0.0  # their total wall time
        self._best_s: dict[int, float] = {}  # by number of threads: the best average step
        self._proved = False  # whether `threads` has won a trial
        self._hindered_since_s: float | None = None
        self._undo: _Undo | None = None
        self._last_s: float | None = None  # when the last step ended
        self._retry_at_s, self._retry_wait_s, self._lost_s = -math.inf, RETRY_S, math.inf
        self._looked: tuple[float, float] | None = None  # time, and idle_s() then
        self._room_since_s: float | None = None
        self._room_wait_s = self._least_room_wait_s = ROOM_WAIT_S
        self._idle_cores = 0.0  # at the last check
        self._lost_idle_cores = math.inf  # time of the last trial of more threads that did not pay
        self._climbed_at_s = -math.inf

    def after_step(self, now_s: float, step_s: float, cpu_s: float) -> int:
        """Records a step, and returns how many threads the next one uses.

        Args:
            now_s: the clock.
            step_s: the step's duration by this clock.
            cpu_s: this process's processor time during the step.
        """
        away = self._was_away(now_s, step_s, cpu_s)
        self._last_s = now_s
        if away:
            return self.rest()
        if self._trial:
            verdict = self._trial.verdict(step_s)
            self._known.add(self._trial.threads)
            if verdict is not None:
                self._end(self._trial, verdict, now_s)
        else:
            self._note(step_s, cpu_s)
            mean_s = self._mean_s()
            if mean_s is not None and self._undo:
                self._check(self._undo, mean_s, now_s)
            elif mean_s is not None and (other := self._worth_trying(now_s, mean_s)):
                self._begin(other, mean_s)
        return self._trial.threads if self._trial else self.threads

    def forget(self) -> None:
        """A setting was changed: steps take a different time from now on."""
        self.rest()
        self._best_s.clear()
        self._proved = False
        self._lost_s = math.inf

    def rest(self) -> int:
        """Ends a trial without a verdict and clears the latest measurements; returns the number of threads."""
        self._trial = self._undo = None
        self._start_over()
        return self.threads

    def _start_over(self) -> None:
        self._recent.clear()
        self._recent_s = 0.0
        self._looked = self._room_since_s = self._hindered_since_s = None

    def _was_away(self, now_s: float, step_s: float, cpu_s: float) -> bool:
        """Whether the run did something else before this step, or the process was stopped during it."""
        if step_s > AWAY_S and cpu_s < STOPPED * step_s:
            return True
        return self._last_s is not None and now_s - step_s - self._last_s > AWAY_S

    def _note(self, step_s: float, cpu_s: float) -> None:
        self._recent.append((step_s, cpu_s))
        self._recent_s += step_s
        while len(self._recent) > LEAST_STEPS and self._recent_s - self._recent[0][0] >= WINDOW_S:
            self._recent_s -= self._recent.popleft()[0]

    def _mean_s(self) -> float | None:
        """The average of the last steps; None while there are too few."""
        if len(self._recent) < LEAST_STEPS or self._recent_s < WINDOW_S:
            return None
        mean_s = self._recent_s / len(self._recent)
        self._best_s[self.threads] = min(mean_s, self._best_s.get(self.threads, math.inf))
        return mean_s

    def _worth_trying(self, now_s: float, mean_s: float) -> int:
        """Another number of threads to try now, or 0."""
        if self.threads > 1 and self._stays_hindered(now_s, mean_s) and (now_s >= self._retry_at_s or mean_s > SLOWER * self._lost_s):
            return self.threads // 2
        if self.threads < self._most and self._has_room(now_s):
            return self._more()
        return 0

    def _more(self) -> int:
        return min(2 * self.threads, self._most)

    def _stays_hindered(self, now_s: float, mean_s: float) -> bool:
        """Whether something has slowed the threads for more than one window. Long steps alone are enough."""
        if not self._hindered(mean_s):
            self._hindered_since_s = None
            return False
        if self._hindered_since_s is None:
            self._hindered_since_s = now_s - max(0.0, self._recent_s - WINDOW_S)
        return now_s - self._hindered_since_s >= HINDERED_S

    def _hindered(self, mean_s: float) -> bool:
        """Whether something slows the threads."""
        step_s, cpu_s = (sum(column) for column in zip(*self._recent, strict=True))
        share = cpu_s / (self.threads * step_s)
        limit_s = (SLOWER if share < UNHINDERED else MUCH_SLOWER) * self._best_s[self.threads]
        if mean_s > limit_s and sum(step_s > limit_s for step_s, _ in self._recent) >= LEAST_STEPS:
            return True
        return not self._proved and share < STARVED

    def _has_room(self, now_s: float) -> bool:
        """Whether cores for more threads have been idle for long enough."""
        if self._looked and now_s - self._looked[0] < LOOK_S:
            return False
        before, idle_s = self._looked, self._idle_s()
        self._looked = (now_s, idle_s or 0.0)
        if idle_s is None and self._least_room_wait_s != BLIND_WAIT_S:
            self._room_wait_s = self._least_room_wait_s = BLIND_WAIT_S
        if before is None:
            return False
        if idle_s is not None:
            self._idle_cores = (idle_s - before[1]) / (now_s - before[0])
            if self._idle_cores < ROOM * (self._more() - self.threads):
                self._room_since_s = None
                return False
            if self._idle_cores > self._lost_idle_cores + ROOM:  # more cores are idle than when it did not pay
                self._room_wait_s, self._lost_idle_cores = min(self._room_wait_s, STEADY_S), math.inf
        if self._room_since_s is None:
            self._room_since_s = before[0]
        return now_s - self._room_since_s >= self._room_wait_s

    def _begin(self, threads: int, before_s: float) -> None:
        self._trial = _Trial(threads, before_s, warm=threads in self._known)

    def _end(self, trial: _Trial, won: bool, now_s: float) -> None:
        self._trial = None
        self._start_over()
        if won:
            self._best_s[trial.threads] = min(trial.mean_s, self._best_s.get(trial.threads, math.inf))
        if trial.threads < self.threads:
            self._end_of_fewer(trial, won, now_s)
        elif won:
            self._proved = True
            self.threads, self._climbed_at_s = trial.threads, now_s
            self._retry_at_s, self._lost_s = -math.inf, math.inf
        else:
            self._wait_longer(max(CHEAP_WAIT_S, COST * trial.lost_s))
            self._lost_idle_cores = self._idle_cores

    def _end_of_fewer(self, trial: _Trial, won: bool, now_s: float) -> None:
        fewer = trial.threads // 2
        if not won and fewer and self._may_win(fewer, trial.before_s):
            self._begin(fewer, trial.before_s)
            return
        self._proved = True
        if not won:
            self._retry_later(now_s, trial.before_s)
            return
        if self._undo is None:
            self._undo = _Undo(self.threads, trial.before_s)
        self.threads = trial.threads
        self._retry_at_s, self._lost_s = -math.inf, math.inf
        if fewer:
            self._begin(fewer, trial.mean_s)

    def _check(self, undo: _Undo, mean_s: float, now_s: float) -> None:
        """Checks the first window on fewer threads: the other work may have ended, or the trial was lucky."""
        self._undo = None
        if mean_s * MARGIN >= undo.before_s:
            self.threads = undo.threads
            self._start_over()
            self._retry_later(now_s, undo.before_s)
            return
        self._retry_wait_s = RETRY_S
        if now_s - self._climbed_at_s < HELD_S:
            self._wait_longer(STEADY_S if self._least_room_wait_s == ROOM_WAIT_S else LONGEST_ROOM_WAIT_S)
        else:
            self._room_wait_s = self._least_room_wait_s

    def _wait_longer(self, longest_s: float) -> None:
        """More threads did not pay: next time, cores must be idle for twice as long, within bounds."""
        self._room_wait_s = max(self._room_wait_s, min(2 * self._room_wait_s, longest_s, LONGEST_ROOM_WAIT_S))

    def _retry_later(self, now_s: float, step_s: float) -> None:
        """Fewer threads did not pay when steps took this many seconds."""
        self._retry_at_s, self._lost_s = now_s + self._retry_wait_s, step_s
        self._retry_wait_s = min(2 * self._retry_wait_s, LONGEST_RETRY_S)

    def _may_win(self, fewer: int, before_s: float) -> bool:
        """Whether this few threads, each with its own core, could be faster than now; assumed before the first trial."""
        return not self._proved or before_s > self._best_s[self.threads] * self.threads / fewer
