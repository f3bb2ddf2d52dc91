"""What to do about a finding: settings to change in the running run, in a fork of it, or in a new run. Pure.

Most promising first: undo what was changed shortly before the finding began; then change settings that look suspicious; then go back to the
recipe's settings; then try what the literature advises. Every remedy is legal for the run's settings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gan.config import TrainConfig
from gan.events import Intervention

Kind = Literal["live", "fork", "new"]

UNDO_STEPS = 800  # a change at most this long before a finding began counts as its cause
EARLY_STEPS = 1000  # a run whose trouble began before this step loses little by starting over
LARGE_RATE = 2e-3  # ten times the rate of Radford et al. 2016, who found 1e-3 too high
SOUND_RATE = 2e-4  # Radford et al. 2016, section 4
UNEVEN = 3.0  # between the two learning rates (Heusel et al. 2017 take up to 5, in D's favor)
MUCH_DROPOUT, MUCH_NOISE, MUCH_FLIPPED = 0.5, 0.3, 0.2
CLOSE_LABELS = 0.4  # between the labels of real and generated images; the usual smoothing, 0.9 and 0.1, leaves 0.8
SMALL_LATENT, SOUND_LATENT = 10, 64
DRASTIC = 10.0  # times as high or as low: a learning rate after such a change
STANDSTILL = 100.0  # times as low as the other rate: such a network hardly learns, and remedies that need it to learn are none
REGARDLESS = frozenset({"nan", "averaging"})  # findings that a frozen network does not explain
MOST_BACK = 4  # settings that a return to the recipe changes; a run that differs in more is another system
SAME_IMAGES = ("data", "image_size", "channels")  # a recipe promises nothing about other images
# Settings with no effect on a run's health, those that the learner chooses, and those with their own remedies.
NOT_THE_RECIPES = frozenset(
    {"seed", "duration", "duration_unit", "stop_when_finished", "precision", "frozen", "data_split", "fit", "background"}
    | {"log_every", "grid_every", "grid_images", "snapshot_every"}
)


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Attributes:
        kind: "live": change the settings while the run trains; "fork": continue from one of its saved states in a new run;
            "new": start a new run, because the settings define the networks.
        changes: field -> new value.
        why: one sentence.
        step: for a fork: continue from the saved state nearest to this step.
        undoes: for a fork: the change at `step` is to be undone, so a state from before it is better than one that is nearer.
    """

    kind: Kind
    changes: dict[str, Any]
    why: str
    step: int | None = None
    undoes: bool = False

    def state_of(self, steps: Sequence[int]) -> int | None:
        """Which of a run's saved states, by their steps, a fork continues from; None if there are none."""
        wanted = self.step
        if wanted is None or not steps:
            return max(steps, default=None)
        before = [step for step in steps if step <= wanted] if self.undoes else []
        return max(before) if before else min(steps, key=lambda step: abs(step - wanted))

    def why_from(self, steps: Sequence[int]) -> str:
        """`why`, or for a fork from before a change, if none of a run's states is from before it, what it can do nevertheless."""
        at = self.state_of(steps)
        if not self.undoes or self.step is None or at is None or at <= self.step:
            return self.why
        return (
            f"{_since(self.step)}: change it back. This run has no saved state from before that, so its networks keep what they "
            "learned meanwhile."
        )


@dataclass(frozen=True)
class Situation:
    """What remedies depend on.

    Attributes:
        config: the current settings.
        interventions: the changes of live settings so far, in order.
        began: the step at which the trouble began.
        step: the last step.
        best: the step of the best images, if known.
        images_seen: so far; 0 if unknown.
        classes: whether the images' classes are known.
        recipe: the settings of the recipe that the run was started from, if known.
    """

    config: TrainConfig
    interventions: Sequence[Intervention]
    began: int
    step: int
    best: int | None = None
    images_seen: int = 0
    classes: bool = False
    recipe: TrainConfig | None = None


def remedies(rule: str, at: Situation) -> tuple[Remedy, ...]:
    """What to try about a finding of this rule: legal for the settings, the most promising first."""
    if at.config.frozen != "none" and rule not in REGARDLESS:  # nothing else can help while one network does not learn
        return tuple(_legal(at.config, [*_undo(at, "frozen"), *_frozen(at)]))
    slow, fast = sorted((at.config.lr_g, at.config.lr_d))
    if fast >= STANDSTILL * slow and rule not in REGARDLESS:
        return tuple(_legal(at.config, [*_undo(at), *_uneven_rates(at), *_large_rates(at), *_recipe(at)]))
    return tuple(_legal(at.config, ADVICE[rule](at)))


def _legal(config: TrainConfig, wished: Iterable[Remedy]) -> Iterable[Remedy]:
    """The remedies that change something, are allowed by the settings' rules, and are possible for their kind; each once."""
    known: list[tuple[str, dict[str, Any]]] = []
    for remedy in wished:
        changes = {name: value for name, value in remedy.changes.items() if value != getattr(config, name)}
        try:
            after = config.change(**changes).model_dump()
        except ValueError:
            continue
        if config.translates and not all(TrainConfig.has_effect(name, after) for name in changes):
            continue
        cannot = {
            "live": set(TrainConfig.model_fields) - set(TrainConfig.live_fields()),
            "fork": set(TrainConfig.fixed_fields()),
            "new": set(),
        }
        if changes and not cannot[remedy.kind] & changes.keys() and (remedy.kind, changes) not in known:
            known.append((remedy.kind, changes))
            yield replace(remedy, changes=changes)


def _rate(value: float) -> float:
    """A learning rate within the bounds of its field, rounded to two digits."""
    return float(f"{min(max(value, 1e-7), 0.1):.1e}")


def _undo(at: Situation, *fields: str) -> list[Remedy]:
    """Undoes what was changed shortly before the finding began; only these fields, or all if none is given.

    Drastic changes first, because trouble begins with them even if something harmless was changed later; then the latest.
    """
    first: dict[str, Intervention] = {}
    for change in at.interventions:
        if at.began - UNDO_STEPS <= change.step <= at.began and (not fields or change.field in fields):
            first.setdefault(change.field, change)
    back = []
    for change in sorted(first.values(), key=lambda change: (not _is_drastic(at.config, change), -change.step)):
        if getattr(at.config, change.field, change.old) == change.old:
            continue
        changes = {change.field: change.old}
        since = _since(change.step)
        live = Remedy("live", changes, f"{since}: change it back.")
        before = Remedy("fork", changes, f"{since}: continue from before the change, with the networks of that time.", change.step, True)
        # Weights that large steps have damaged recover slowly; every other setting acts at once.
        back += [before, live] if change.field in ("lr_g", "lr_d") else [live, before]
    return back


def _since(step: int) -> str:
    return f"This began soon after you changed the setting at step {step:,}"


def _is_drastic(config: TrainConfig, change: Intervention) -> bool:
    """Whether a setting is now so far from what it was before a change that most runs go wrong with it."""
    old, new = change.old, getattr(config, change.field, change.new)
    if change.field in ("lr_g", "lr_d"):
        slow, fast = sorted((float(old), float(new)))
        return fast >= DRASTIC * slow
    limits = {"dropout": MUCH_DROPOUT, "instance_noise": MUCH_NOISE, "label_flips": MUCH_FLIPPED}
    return change.field == "frozen" or (change.field in limits and float(new) > limits[change.field])


def _frozen(at: Situation) -> list[Remedy]:
    name = at.config.frozen
    return [Remedy("live", {"frozen": "none"}, f"The {name} is frozen, so it cannot react: let it learn.")] if name != "none" else []


def _hidden(at: Situation) -> list[Remedy]:
    """Settings that hide from D the difference between real and generated images."""
    config, found = at.config, []
    if config.label_flips > MUCH_FLIPPED:
        why = f"The discriminator gets the wrong label for {config.label_flips:.0%} of the images; at 50% it learns nothing."
        found.append(Remedy("live", {"label_flips": 0.0}, why))
    if config.dropout > MUCH_DROPOUT:
        found.append(
            Remedy("live", {"dropout": 0.2}, f"Dropout switches off {config.dropout:.0%} of the discriminator's features in each step.")
        )
    if config.instance_noise > MUCH_NOISE:
        found.append(
            Remedy("live", {"instance_noise": 0.1}, "The noise on the images hides the difference between real and generated ones.")
        )
    if not config.has_scores and config.real_label - config.fake_label < CLOSE_LABELS:
        why = f"The labels of real and generated images are close ({config.real_label:g} and {config.fake_label:g}): D learns little from them."
        found.append(Remedy("live", {"real_label": 0.9, "fake_label": 0.0}, why))
    return found


def _recipe(at: Situation) -> list[Remedy]:
    """Back to the recipe, for a run that went wrong early and differs from its recipe in few settings."""
    config, recipe = at.config, at.recipe
    if recipe is None or at.began > EARLY_STEPS or any(getattr(config, name) != getattr(recipe, name) for name in SAME_IMAGES):
        return []
    back = {name: value for name, value in recipe if name not in NOT_THE_RECIPES and value != getattr(config, name)}
    if not back or len(back) > MOST_BACK:
        return []
    what = (
        "another value of this setting: start again with it" if len(back) == 1 else "other values of these settings: start again with them"
    )
    return [Remedy("new", back, f"The recipe trains well with {what}.")]


def _uneven_steps(at: Situation, network: Literal["g", "d"]) -> list[Remedy]:
    """The same number of steps for both networks, if the winning one takes more."""
    config = at.config
    more, fewer = (config.g_steps, config.d_steps) if network == "g" else (config.d_steps, config.g_steps)
    if more <= fewer:
        return []
    winner, other = ("generator", "discriminator") if network == "g" else ("discriminator", "generator")
    why = f"The {winner} takes {more} steps, the {other} takes {fewer}: give both the same number."
    return [Remedy("live", {f"{network}_steps": fewer}, why)]


def _large_rates(at: Situation, *networks: str) -> list[Remedy]:
    """Learning rates far above those known to work."""
    config = at.config
    fields = [f"lr_{n}" for n in networks or ("g", "d") if getattr(config, f"lr_{n}") > LARGE_RATE]
    if not fields:
        return []
    changes = {name: SOUND_RATE for name in fields}
    why = "Radford et al. 2016 found a rate of 0.001 too high for Adam and used 0.0002."
    live = Remedy("live", changes, why)
    restart = Remedy("new", changes, f"{why} Networks rarely recover from such large steps.")
    changed_later = any(change.field in fields for change in at.interventions)
    return [live] if changed_later or at.began > EARLY_STEPS else [*(_recipe(at) or [restart]), live]


def _uneven_rates(at: Situation) -> list[Remedy]:
    config = at.config
    slow, fast = sorted(("lr_d", "lr_g"), key=lambda name: float(getattr(config, name)))
    if getattr(config, slow) * UNEVEN < min(SOUND_RATE, getattr(config, fast)):  # equal, but both this slow, would be no cure
        rate = min(getattr(config, fast), SOUND_RATE)
        who = "discriminator" if slow == "lr_d" else "generator"
        return [Remedy("live", {"lr_d": rate, "lr_g": rate}, f"The {who} learns too slowly to follow: give both the same rate.")]
    if config.lr_d > UNEVEN * config.lr_g:
        return [Remedy("live", {"lr_d": config.lr_g}, "The discriminator's rate is far above the generator's: make them equal.")]
    if config.lr_g > UNEVEN * config.lr_d:
        return [Remedy("live", {"lr_g": config.lr_d}, "The generator's rate is far above the discriminator's: make them equal.")]
    return []


def _tiny_latent(at: Situation) -> list[Remedy]:
    if at.config.latent_dim >= SMALL_LATENT:
        return []
    why = f"{at.config.latent_dim} numbers cannot describe all the ways in which the images differ."
    return [Remedy("new", {"latent_dim": SOUND_LATENT}, why)]


def _no_norm(at: Situation) -> list[Remedy]:
    config = at.config
    if config.generator_norm != "none" or config.networks != "dcgan":
        return []
    why = "Batch normalization keeps a deep generator from collapsing to one point (Radford et al. 2016)."
    return [Remedy("new", {"generator_norm": "batch"}, why)]


def _slower(at: Situation, by: float, why: str, kind: Kind = "live", step: int | None = None, networks: str = "gd") -> Remedy:
    """Lower learning rates."""
    return Remedy(kind, {f"lr_{n}": _rate(getattr(at.config, f"lr_{n}") / by) for n in networks}, why, step)


def _diffaugment(at: Situation) -> Remedy:
    policy = "color, translation, cutout" if at.config.channels == 3 else "translation, cutout"
    why = "Shifts and cutouts on every image the discriminator sees make much more of a small data set (Zhao et al. 2020)."
    return Remedy("fork", {"diffaugment": policy}, why, at.step)


def _packing(at: Situation) -> Remedy:
    why = "A discriminator that sees two images at once notices when they look alike (PacGAN, Lin et al. 2018)."
    return Remedy("new", {"packing": 2}, why)


def _minibatch(at: Situation) -> Remedy:
    why = "The discriminator then sees how much the images of a batch differ (Karras et al. 2018)."
    return Remedy("new", {"minibatch_std": True}, why)


def _weaker_discriminator(at: Situation) -> list[Remedy]:
    config = at.config
    found = [
        _slower(
            at,
            4,
            "A slower discriminator gives the generator time to catch up (Heusel et al. 2017 balance the two with their rates).",
            networks="d",
        )
    ]
    if config.instance_noise < 0.1:
        why = "A little noise makes real and generated images overlap, so the generator gets a gradient to follow (Sønderby et al. 2017)."
        found.append(Remedy("live", {"instance_noise": 0.1}, why))
    if config.real_label == 1 and not config.has_scores:
        found.append(
            Remedy("live", {"real_label": 0.9}, "Softer labels keep the discriminator from becoming overconfident (Salimans et al. 2016).")
        )
    if config.dropout < 0.3:
        found.append(Remedy("live", {"dropout": 0.3}, "Dropout slows down a discriminator that wins too easily."))
    if config.g_steps < 3:
        found.append(Remedy("live", {"g_steps": config.g_steps + 1}, "The generator takes more steps for each step of the discriminator."))
    found.append(
        Remedy("new", {"spectral_norm": True}, "Spectral normalization limits how steep the discriminator can be (Miyato et al. 2018).")
    )
    return found


def _d_winning(at: Situation) -> list[Remedy]:
    suspects = [*_undo(at), *_large_rates(at), *_no_norm(at), *_uneven_steps(at, "d"), *_uneven_rates(at)]
    return [*suspects, *_recipe(at), *_weaker_discriminator(at)]


def _g_winning(at: Situation) -> list[Remedy]:
    config = at.config
    found = [*_undo(at), *_hidden(at), *_large_rates(at), *_uneven_steps(at, "g"), *_uneven_rates(at), *_recipe(at)]
    if config.dropout:
        found.append(Remedy("live", {"dropout": 0.0}, "The discriminator then uses all of its features in each step."))
    found.append(Remedy("live", {"lr_d": _rate(2 * config.lr_d)}, "A faster discriminator catches up."))
    if config.d_steps < 5:
        found.append(Remedy("live", {"d_steps": config.d_steps + 1}, "The discriminator takes more steps for each step of the generator."))
    found.append(_slower(at, 2, "A slower generator gives the discriminator time to catch up.", networks="g"))
    return found


def _collapse(at: Situation) -> list[Remedy]:
    again = _slower(
        at,
        2,
        "Continue from before it began, with smaller steps: a collapse rarely undoes itself.",
        "fork",
        min(at.began, at.best or at.began),
    )
    late = [again] if at.began > EARLY_STEPS else []
    suspects = [*_undo(at), *_large_rates(at), *_hidden(at), *_tiny_latent(at), *_no_norm(at), *_uneven_rates(at), *_recipe(at)]
    return [*suspects, *late, _packing(at), _minibatch(at), again]


def _missing(at: Situation) -> list[Remedy]:
    conditional = Remedy(
        "new",
        {"conditional": True, "packing": 1},
        "A conditional generator is given a class, so it draws every class (Mirza and Osindero 2014).",
    )
    return [*_collapse(at), *([conditional] if at.classes else [])]


def _low_variety(at: Situation) -> list[Remedy]:
    return [*_tiny_latent(at), *_collapse(at)]


def _overfitting(at: Situation) -> list[Remedy]:
    config = at.config
    found = [_diffaugment(at)]
    if config.dropout < 0.3:
        found.append(Remedy("live", {"dropout": 0.3}, "A discriminator with dropout memorizes single images less."))
    found.append(_slower(at, 2, "A slower discriminator memorizes its images later.", networks="d"))
    r1 = {"r1": 1.0, "discriminator_norm": "none"}
    found.append(Remedy("new", r1, "The R1 penalty flattens the discriminator around the real images (Mescheder et al. 2018)."))
    return found


def _vanishing(at: Situation) -> list[Remedy]:
    return _d_winning(at)


def _exploding(at: Situation) -> list[Remedy]:
    suspects = [*_undo(at), *_large_rates(at), *_no_norm(at), *_recipe(at)]
    spectral = Remedy(
        "new", {"spectral_norm": True}, "Spectral normalization limits how steep the discriminator can be (Miyato et al. 2018)."
    )
    return [*suspects, _slower(at, 4, "Smaller steps keep the weights from overflowing."), spectral]


def _divergence(at: Situation) -> list[Remedy]:
    suspects = [*_undo(at), *_hidden(at), *_large_rates(at), *_uneven_rates(at), *_recipe(at)]
    again = _slower(at, 2, "Continue from the best images, with smaller steps.", "fork", at.best or at.began)
    return [*suspects, again, _slower(at, 2, "Continue from here, with smaller steps.")]


def _oscillation(at: Situation) -> list[Remedy]:
    momentum = {name: 0.5 for name in ("beta1_g", "beta1_d") if getattr(at.config, name) > 0.6}
    suspects = [*_undo(at), *_large_rates(at), *_uneven_rates(at), *_recipe(at)]
    calmer = [Remedy("fork", momentum, "Radford et al. 2016 saw training oscillate with a momentum of 0.9 and used 0.5.", at.began)]
    longer = {"average_half_life": min(10_000_000, max(10_000, 3 * at.config.average_half_life))}
    average = Remedy("fork", longer, "A longer average evens out the oscillation (Yazıcı et al. 2019).", at.began)
    return [*suspects, *(calmer if momentum else []), _slower(at, 2, "Smaller steps overshoot less."), average, _packing(at)]


def _averaging(at: Situation) -> list[Remedy]:
    shorter = min(10_000, at.images_seen // 40)  # several half-lives fit into the images seen so far
    return [
        Remedy("fork", {"average_half_life": shorter}, "The weights of the first steps then soon stop counting.", at.step),
        Remedy("fork", {"average_half_life": 0}, "Without averaging, samples come from the current weights.", at.step),
    ]


def _nan(at: Situation) -> list[Remedy]:
    before = max(0, at.began - 1)
    again = _slower(at, 4, "Continue from the last sound state, with much smaller steps.", "fork", before)
    return [
        *_large_rates(at),
        again,
        *_recipe(at),
        *_no_norm(at),
        Remedy("fork", {"precision": "fp32"}, "32-bit numbers are more exact.", before),
    ]


def _finished(at: Situation) -> list[Remedy]:
    return [
        _slower(at, 4, "Smaller steps may settle closer to the best point."),
        Remedy(
            "fork", {"average_half_life": min(10_000_000, 3 * at.config.average_half_life)}, "A longer average may be smoother.", at.step
        ),
    ]


ADVICE = {
    "nan": _nan,
    "averaging": _averaging,
    "d-winning": _d_winning,
    "g-winning": _g_winning,
    "collapse": _collapse,
    "classes-missing": _missing,
    "class-missing": _missing,
    "tiny-latent": _low_variety,
    "low-variety": _low_variety,
    "exploding": _exploding,
    "vanishing": _vanishing,
    "divergence": _divergence,
    "oscillation": _oscillation,
    "d-overfitting": _overfitting,
    "memorization": _overfitting,
    "finished": _finished,
}
