"""What can be done about a finding: settings to change in the run as it goes, in a fork of it, or in a new run. Pure.

Most promising first: what somebody changed shortly before it began goes back; then what the settings themselves make suspicious; then what
the literature advises. Every remedy that is handed out is legal for the run's settings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gan.config import TrainConfig
from gan.events import Intervention

Kind = Literal["live", "fork", "new"]

UNDO_STEPS = 800  # a change this long before a finding began is held to be its cause
EARLY_STEPS = 1000  # a run whose trouble began before this loses little by starting anew
LARGE_RATE = 2e-3  # ten times Radford et al. 2016's, which found 1e-3 too high
SOUND_RATE = 2e-4  # Radford et al. 2016, section 4
UNEVEN = 3.0  # between the two learning rates (Heusel et al. 2017 take up to 5, in D's favour)
MUCH_DROPOUT, MUCH_NOISE, MUCH_FLIPPED = 0.5, 0.3, 0.2
SMALL_LATENT, SOUND_LATENT = 10, 64


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Attributes:
        kind: "live": the settings change in the run as it trains; "fork": a new run goes on from one of this one's saved states;
            "new": a run from the start, since the settings shape the networks.
        changes: field -> new value.
        why: in a sentence.
        step: of a fork: from the saved state nearest to this step.
    """

    kind: Kind
    changes: dict[str, Any]
    why: str
    step: int | None = None


@dataclass(frozen=True)
class Situation:
    """What remedies depend on.

    Attributes:
        config: the settings as they are now.
        interventions: the changes of live settings so far, in order.
        began: the step where the trouble began.
        step: the last one.
        best: the step of the best images, where it is known.
        images_seen: so far; 0 where that is not known.
        classes: whether the images' classes are known.
    """

    config: TrainConfig
    interventions: Sequence[Intervention]
    began: int
    step: int
    best: int | None = None
    images_seen: int = 0
    classes: bool = False


def remedies(rule: str, at: Situation) -> tuple[Remedy, ...]:
    """What to try about a finding of the rule of that key, legal for the settings, in order of promise."""
    return tuple(_legal(at.config, _ADVICE[rule](at)))


def _legal(config: TrainConfig, wished: Iterable[Remedy]) -> Iterable[Remedy]:
    """Those that change something, that the settings' own rules allow, and that their kind can do; each once."""
    known: list[tuple[str, dict[str, Any]]] = []
    for remedy in wished:
        changes = {name: value for name, value in remedy.changes.items() if value != getattr(config, name)}
        try:
            config.change(**changes)
        except ValueError:
            continue
        cannot = {
            "live": set(TrainConfig.model_fields) - set(TrainConfig.live_fields()),
            "fork": set(TrainConfig.fixed_fields()),
            "new": set(),
        }
        if changes and not cannot[remedy.kind] & changes.keys() and (remedy.kind, changes) not in known:
            known.append((remedy.kind, changes))
            yield Remedy(remedy.kind, changes, remedy.why, remedy.step)


def _rate(value: float) -> float:
    """A learning rate within the bounds of its field, of two digits."""
    return float(f"{min(max(value, 1e-7), 0.1):.1e}")


def _undo(at: Situation, *fields: str) -> list[Remedy]:
    """What was changed shortly before it began, back as it was, the latest change first; of these fields, or any."""
    first: dict[str, Intervention] = {}
    for change in at.interventions:
        if at.began - UNDO_STEPS <= change.step <= at.began and (not fields or change.field in fields):
            first.setdefault(change.field, change)
    back = []
    for change in sorted(first.values(), key=lambda change: -change.step):
        if getattr(at.config, change.field, change.old) == change.old:
            continue
        changes = {change.field: change.old}
        since = f"It began soon after this setting was changed at step {change.step:,}"
        live = Remedy("live", changes, f"{since}: put it back.")
        before = Remedy("fork", changes, f"{since}: go on from before, without what it has done to the networks.", change.step)
        # Weights that steps of another size have thrown about do not find back soon; all else acts at once.
        back += [before, live] if change.field in ("lr_g", "lr_d") else [live, before]
    return back


def _frozen(at: Situation) -> list[Remedy]:
    name = at.config.frozen
    return [Remedy("live", {"frozen": "none"}, f"The {name} is frozen, so it cannot answer: let it learn.")] if name != "none" else []


def _told_little(at: Situation) -> list[Remedy]:
    """Settings that hide from D what it should tell apart."""
    config, found = at.config, []
    if config.label_flips > MUCH_FLIPPED:
        why = f"The discriminator is told the wrong thing about {config.label_flips:.0%} of the images; at 50 % it learns nothing at all."
        found.append(Remedy("live", {"label_flips": 0.0}, why))
    if config.dropout > MUCH_DROPOUT:
        found.append(
            Remedy("live", {"dropout": 0.2}, f"{config.dropout:.0%} of the discriminator's features are switched off in each step.")
        )
    if config.instance_noise > MUCH_NOISE:
        found.append(Remedy("live", {"instance_noise": 0.1}, "The noise on the images hides what tells them apart."))
    return found


def _large_rates(at: Situation, *networks: str) -> list[Remedy]:
    """Learning rates far beyond what has been seen to work."""
    config = at.config
    fields = [f"lr_{n}" for n in networks or ("g", "d") if getattr(config, f"lr_{n}") > LARGE_RATE]
    if not fields:
        return []
    changes = {name: SOUND_RATE for name in fields}
    why = "Radford et al. 2016 found 0.001 too high a rate for Adam, and took 0.0002."
    live = Remedy("live", changes, why)
    anew = Remedy("new", changes, f"{why} Networks that such steps have wrecked seldom recover.")
    changed_later = any(change.field in fields for change in at.interventions)
    return [live] if changed_later or at.began > EARLY_STEPS else [anew, live]


def _uneven_rates(at: Situation) -> list[Remedy]:
    config = at.config
    if config.lr_d > UNEVEN * config.lr_g:
        return [Remedy("live", {"lr_d": config.lr_g}, "The discriminator's rate is far above the generator's: make them equal.")]
    if config.lr_g > UNEVEN * config.lr_d:
        return [Remedy("live", {"lr_g": config.lr_d}, "The generator's rate is far above the discriminator's: make them equal.")]
    return []


def _tiny_latent(at: Situation) -> list[Remedy]:
    if at.config.latent_dim >= SMALL_LATENT:
        return []
    why = f"{at.config.latent_dim} numbers cannot say in how many ways the images differ."
    return [Remedy("new", {"latent_dim": SOUND_LATENT}, why)]


def _no_norm(at: Situation) -> list[Remedy]:
    config = at.config
    if config.generator_norm != "none" or config.networks != "dcgan":
        return []
    why = "Batch normalisation keeps a deep generator from collapsing to one point (Radford et al. 2016)."
    return [Remedy("new", {"generator_norm": "batch"}, why)]


def _slower(at: Situation, by: float, why: str, kind: Kind = "live", step: int | None = None, networks: str = "gd") -> Remedy:
    """Lower learning rates."""
    return Remedy(kind, {f"lr_{n}": _rate(getattr(at.config, f"lr_{n}") / by) for n in networks}, why, step)


def _diffaugment(at: Situation) -> Remedy:
    policy = "color, translation, cutout" if at.config.channels == 3 else "translation, cutout"
    why = "Shifts and cut-outs on all images that the discriminator sees: a small set then goes much farther (Zhao et al. 2020)."
    return Remedy("fork", {"diffaugment": policy}, why, at.step)


def _packing(at: Situation) -> Remedy:
    why = "A discriminator that sees two images at once notices when they are alike (PacGAN, Lin et al. 2018)."
    return Remedy("new", {"packing": 2}, why)


def _minibatch(at: Situation) -> Remedy:
    why = "The discriminator is shown how much the images of a batch differ (Karras et al. 2018)."
    return Remedy("new", {"minibatch_std": True}, why)


def _weaker_discriminator(at: Situation) -> list[Remedy]:
    config = at.config
    found = [
        _slower(
            at,
            4,
            "A slower discriminator gives the generator time to follow (Heusel et al. 2017 balance the two by their rates).",
            networks="d",
        )
    ]
    if config.instance_noise < 0.1:
        why = "A little noise on all images makes real ones and fakes overlap, so that there is a slope to follow (Sønderby et al. 2017)."
        found.append(Remedy("live", {"instance_noise": 0.1}, why))
    if config.real_label == 1 and not config.has_scores:
        found.append(Remedy("live", {"real_label": 0.9}, "It keeps the discriminator from growing too sure (Salimans et al. 2016)."))
    if config.dropout < 0.3:
        found.append(Remedy("live", {"dropout": 0.3}, "It holds back a discriminator that wins too easily."))
    if config.g_steps < 3:
        found.append(Remedy("live", {"g_steps": config.g_steps + 1}, "More steps of the generator for each of the discriminator."))
    found.append(Remedy("new", {"spectral_norm": True}, "It bounds how steep the discriminator can be (Miyato et al. 2018)."))
    return found


def _d_winning(at: Situation) -> list[Remedy]:
    frozen = _frozen(at) if at.config.frozen == "generator" else []
    return [*_undo(at), *frozen, *_large_rates(at), *_no_norm(at), *_uneven_rates(at), *_weaker_discriminator(at)]


def _g_winning(at: Situation) -> list[Remedy]:
    config = at.config
    frozen = _frozen(at) if config.frozen == "discriminator" else []
    found = [*_undo(at), *frozen, *_told_little(at), *_large_rates(at), *_uneven_rates(at)]
    if config.dropout:
        found.append(Remedy("live", {"dropout": 0.0}, "The discriminator then has all of its features at each step."))
    found.append(Remedy("live", {"lr_d": _rate(2 * config.lr_d)}, "A faster discriminator catches up."))
    if config.d_steps < 5:
        found.append(Remedy("live", {"d_steps": config.d_steps + 1}, "More steps of the discriminator for each of the generator."))
    found.append(_slower(at, 2, "A slower generator waits for it.", networks="g"))
    return found


def _collapse(at: Situation) -> list[Remedy]:
    again = _slower(
        at, 2, "From before it began, with smaller steps: a collapse seldom undoes itself.", "fork", min(at.began, at.best or at.began)
    )
    late = [again] if at.began > EARLY_STEPS else []
    suspects = [*_undo(at), *_frozen(at), *_large_rates(at), *_told_little(at), *_tiny_latent(at), *_no_norm(at), *_uneven_rates(at)]
    return [*suspects, *late, _packing(at), _minibatch(at), again]


def _missing(at: Situation) -> list[Remedy]:
    conditional = Remedy(
        "new", {"conditional": True, "packing": 1}, "A generator that is told the class draws every one (Mirza and Osindero 2014)."
    )
    return [*_collapse(at), *([conditional] if at.classes else [])]


def _low_variety(at: Situation) -> list[Remedy]:
    return [*_tiny_latent(at), *_collapse(at)]


def _overfitting(at: Situation) -> list[Remedy]:
    config = at.config
    found = [_diffaugment(at)]
    if config.dropout < 0.3:
        found.append(Remedy("live", {"dropout": 0.3}, "A discriminator that loses features at random learns single images less by heart."))
    found.append(_slower(at, 2, "A slower discriminator learns them later.", networks="d"))
    r1 = {"r1": 1.0, "discriminator_norm": "none"}
    found.append(Remedy("new", r1, "The R1 penalty flattens the discriminator around the images that it knows (Mescheder et al. 2018)."))
    return found


def _vanishing(at: Situation) -> list[Remedy]:
    return _d_winning(at)


def _exploding(at: Situation) -> list[Remedy]:
    suspects = [*_undo(at), *_large_rates(at), *_no_norm(at)]
    spectral = Remedy("new", {"spectral_norm": True}, "It bounds how steep the discriminator can be (Miyato et al. 2018).")
    return [*suspects, _slower(at, 4, "Smaller steps, before the weights run away."), spectral]


def _divergence(at: Situation) -> list[Remedy]:
    suspects = [*_undo(at), *_frozen(at), *_told_little(at), *_large_rates(at), *_uneven_rates(at)]
    again = _slower(at, 2, "From the best images on, with smaller steps.", "fork", at.best or at.began)
    return [*suspects, again, _slower(at, 2, "Smaller steps from here.")]


def _oscillation(at: Situation) -> list[Remedy]:
    momentum = {name: 0.5 for name in ("beta1_g", "beta1_d") if getattr(at.config, name) > 0.6}
    suspects = [*_undo(at), *_large_rates(at), *_uneven_rates(at)]
    calmer = [Remedy("fork", momentum, "Radford et al. 2016 saw training oscillate with a momentum of 0.9, and took 0.5.", at.began)]
    longer = {"average_half_life": min(10_000_000, max(10_000, 3 * at.config.average_half_life))}
    average = Remedy("fork", longer, "Averaged over a longer time, the turns even out (Yazıcı et al. 2019).", at.began)
    return [*suspects, *(calmer if momentum else []), _slower(at, 2, "Smaller steps overshoot less."), average, _packing(at)]


def _averaging(at: Situation) -> list[Remedy]:
    shorter = min(10_000, at.images_seen // 40)  # a few half-lives fit into what has been seen
    return [
        Remedy("fork", {"average_half_life": shorter}, "Weights from the first steps then soon count for nothing.", at.step),
        Remedy("fork", {"average_half_life": 0}, "No averaging: the images of the network as it is.", at.step),
    ]


def _nan(at: Situation) -> list[Remedy]:
    before = max(0, at.began - 1)
    again = _slower(at, 4, "From the last sound state, with much smaller steps.", "fork", before)
    return [*_large_rates(at), again, *_no_norm(at), Remedy("fork", {"precision": "fp32"}, "32-bit numbers reach farther.", before)]


def _finished(at: Situation) -> list[Remedy]:
    return [
        _slower(at, 4, "Smaller steps may settle closer to the best point."),
        Remedy(
            "fork", {"average_half_life": min(10_000_000, 3 * at.config.average_half_life)}, "A longer average may be smoother.", at.step
        ),
    ]


_ADVICE = {
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
    "memorisation": _overfitting,
    "finished": _finished,
}
