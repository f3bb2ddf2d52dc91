"""Explore's views as a few lines of Python: pure functions of a view's parameters. Knows nothing about networks or pages.

Each script draws the same pictures as the view into `images`, and writes a file. Everything filled in is a number, or quoted
by repr(): no name from a person becomes code.
"""

import ast
from collections.abc import Mapping, Sequence

from gan.latent import seed_text

Seeds = Sequence[int]

# Import lines in blocks, and the names that each may import.
_IMPORTS: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = (
    (("from pathlib import {}", ("Path",)),),
    (("import numpy as {}", ("np",)), ("import {}", ("torch",))),
    (
        ("from gan import {}", ("latent",)),
        ("from gan.data.decoding import {}", ("decode",)),
        ("from gan.data.form import {}", ("Form",)),
        ("from gan.explore import {}", ("attributes", "contrast_file", "directions", "mixing", "vectors")),
        ("from gan.explore.models import {}", ("find_model",)),
        ("from gan.explore.projection import {}", ("project",)),
        ("from gan.images import {}", ("enlarge", "gif", "png", "tile")),
        ("from gan.judging.judge import {}", ("JudgeCache",)),
        ("from gan.networks.generator_file import {}", ("load_generator",)),
        ("from gan.networks.sampling import {}", ("sample", "sample_as_in_training", "sample_styles")),
        ("from gan.networks.stylegan import {}", ("split_of_styles",)),
        ("from gan.progress import {}", ("drain",)),
        ("from gan.runs.folder import {}", ("find_generator",)),
        ("from gan.runs.run import {}", ("checkpoints_root",)),
    ),
)

_CONTRASTS = "(contrast_file.read(model.path, model.config) or drain(attributes.find(lambda z: sample(network, z), model.config)))"
_PICTURE = "Path('picture.png').write_bytes(png(enlarge(images[0], 8)))"
_JUDGE = ("judge = drain(JudgeCache().get(model.config.data, *Form.of(model.config)))",)


def pad(model_id: str, corners: Seeds, u: float, v: float, class_name: str | None = None) -> str:
    """One picture between four seeds (top left, top right, bottom left, bottom right), u across and v down, 0 to 1."""
    lines = [
        *_network(model_id),
        f"corners = model.z({list(corners)!r})  # top left, top right, bottom left, bottom right",
        f"across, down = torch.tensor({u!r}), torch.tensor({v!r})",
        "top = latent.slerp(corners[:1], corners[1:2], across)",
        "bottom = latent.slerp(corners[2:3], corners[3:], across)",
        "z = latent.slerp(top, bottom, down)",
        *_drawn(class_name),
        _PICTURE,
    ]
    return _script(lines)


def grid(model_id: str, seeds: Seeds, class_name: str | None = None, classes: int = 0, in_training: bool = False) -> str:
    """A picture of each seed.

    Args:
        classes: above 0, each seed in each of this many classes.
        in_training: draw with sample_as_in_training().
    """
    lines = [*_network(model_id), *_noise(seeds)]
    if classes:
        lines += [
            f"classes = list(range({classes}))",
            "labels = torch.tensor(classes * len(z))",
            "z = z.repeat_interleave(len(classes), 0)",
        ]
    lines += _drawn(class_name, with_labels=bool(classes), in_training=in_training)
    lines.append(f"Path('grid.png').write_bytes(png(enlarge(tile(images, columns={classes}), 4)))")
    return _script(lines)


def mixing(
    model_id: str, columns: Seeds, rows: Seeds, split: str, psi: float = 1.0, noise: bool = True, class_name: str | None = None
) -> str:
    """A table of images: the styles of `split` come from the rows' seeds, the others from the columns'.

    Args:
        split: "coarse", "middle" or "fine".
        psi: truncation toward the mean of w.
        noise: whether images have noise.
    """
    labels = ""
    lines = [*_network(model_id), f"across, down = {list(columns)!r}, {list(rows)!r}"]
    if class_name is not None:
        lines.append(f"labels = torch.full((len(across + down),), model.class_names.index({class_name!r}))")
        labels = ", labels"
    lines += [
        f"w = network.styles(model.z(across + down){labels})",
        *([f"w = network.truncated(w, {psi!r})"] if psi != 1 else []),
        f"first, last = split_of_styles(model.config.image_size)[{split!r}]",
        "w = mixing.mixed(w[: len(across)], w[len(across) :], first, last, network.styles_count)",
        f"images = sample_styles(network, w.flatten(0, 1){'' if noise else ', noise=False'})  # uint8 (N, C, H, W), row by row",
        "Path('grid.png').write_bytes(png(enlarge(tile(images, columns=len(across)), 4)))",
    ]
    return _script(lines)


def sliders(
    model_id: str,
    seed: int,
    method: str,
    count: int,
    moved: Mapping[int, float],
    psi: float,
    label: int | None = None,
    class_name: str | None = None,
    styled: tuple[str, bool] | None = None,
) -> str:
    """A seed's picture, moved along directions.

    Args:
        method, count, label: as directions.find() takes them; method "named" for what the samples have in common.
        moved: standard deviations along the directions, by their numbers.
        psi: truncation: the factor for z, or for the distance of w from its mean.
        styled: for a generator with styles: the space of the directions, "w" or "z", and whether its images have noise.
    """
    if styled:
        return _styled_sliders(model_id, seed, method, count, moved, psi, label, class_name, *styled)
    find = f"directions.find(network, {method!r}, {count!r}, model.config.latent_distribution, {label!r})"
    if method == "named":
        find = f"attributes.as_directions({_CONTRASTS}, {count!r})"
    lines = [
        *_network(model_id),
        f"found = {find}",
        f"z = model.z([{seed!r}])",
        f"for number, far in {dict(moved)!r}.items():",
        "    z += far * found.vectors[found.numbers.index(number)]",
        "if model.config.latent_distribution == 'uniform':",
        "    z.clamp_(-1, 1)  # training knew nothing beyond",
        *([f"z *= {psi!r}  # truncation"] if psi != 1 else []),
        *_drawn(class_name),
        _PICTURE,
    ]
    return _script(lines)


def _styled_sliders(
    model_id: str,
    seed: int,
    method: str,
    count: int,
    moved: Mapping[int, float],
    psi: float,
    label: int | None,
    class_name: str | None,
    space: str,
    noise: bool,
) -> str:
    """sliders() for a generator with styles."""
    find = "find_styles" if space == "w" else "find"
    found = f"directions.{find}(network, {method!r}, {count!r}, model.config.latent_distribution, {label!r})"
    if method == "named":
        found = f"attributes.as_directions({_CONTRASTS}, {count!r})"
    moves = [f"for number, far in {dict(moved)!r}.items():", f"    {space} += far * found.vectors[found.numbers.index(number)]"]
    labels = f", torch.tensor([model.class_names.index({class_name!r})])" if class_name is not None else ""
    styles = f"w = network.styles(z{labels})"
    if space == "z" and moved:
        moves += ["if model.config.latent_distribution == 'uniform':", "    z.clamp_(-1, 1)  # training knew nothing beyond"]
    lines = [
        *_network(model_id),
        f"found = {found}",
        f"z = model.z([{seed!r}])",
        *([styles, *moves] if space == "w" else [*moves, styles]),
        *([f"w = network.truncated(w, {psi!r})  # toward the mean of w"] if psi != 1 else []),
        f"images = sample_styles(network, w{'' if noise else ', noise=False'})  # uint8 (N, C, H, W)",
        _PICTURE,
    ]
    return _script(lines)


def walk(
    model_id: str,
    seeds: Seeds | None,
    frames: int,
    mode: str,
    easing: str,
    closed: bool,
    frames_per_s: float,
    class_name: str | None = None,
    file: str = "",
) -> str:
    """A film from one latent vector to the next.

    Args:
        seeds: of the latent vectors in order; None to read them from `file`, a list that vectors.write() wrote.
        frames, mode, easing, closed: see latent.walk().
    """
    if seeds is None:
        kept = f"vectors.read(Path({file!r}).read_bytes(), model.config.latent_dim)"
        stops = [
            f"kept = {kept}  # the list that you downloaded",
            "stops = vectors.points(kept, model.config.latent_dim, model.config.latent_distribution)",
        ]
    else:
        stops = [f"stops = model.z({list(seeds)!r})"]
    lines = [
        *_network(model_id),
        *stops,
        f"z = latent.walk(stops, {frames!r}, {mode!r}, closed={closed!r}, easing={easing!r})",
        *_drawn(class_name),
        f"Path('walk.gif').write_bytes(gif(images, {frames_per_s!r}, factor=4))",
    ]
    return _script(lines)


def through_time(run: str, steps: Sequence[int], seeds: Seeds, frames_per_s: float, class_name: str | None = None) -> str:
    """The images of the same seeds from each of a run's generators: (steps, N, C, H, W)."""
    lines = [
        f"run = checkpoints_root() / {run!r}",
        f"seeds = latent.parse_seeds({seed_text(seeds)!r})",
        "drawn = []",
        f"for step in {list(steps)!r}:",
        "    loaded = load_generator(find_generator(run, step))",
        "    z = latent.from_seeds(seeds, loaded.config.latent_dim, loaded.config.latent_distribution)",
        *([f"    labels = torch.full((len(z),), loaded.class_names.index({class_name!r}))"] if class_name is not None else []),
        f"    drawn.append(sample(loaded.network, z{', labels' if class_name is not None else ''}))",
        "images = np.stack(drawn)  # uint8 (steps, N, C, H, W)",
        "film = np.stack([tile(pictures) for pictures in images])",
        f"Path('learning.gif').write_bytes(gif(film, {frames_per_s!r}, factor=4))",
    ]
    return _script(lines)


def arithmetic(
    model_id: str, groups: Sequence[Seeds | str], strength: float, jitter: float, label: int = 0, class_name: str | None = None
) -> str:
    """A - B + C, in the middle of eight close variants.

    Args:
        groups: A, B, C: the seeds of a group, or the name of a mean that attributes.find() finds; no seeds count as zero.
        strength: how many times A - B is added.
        jitter: how far each number of the eight differs.
        label, class_name: the class for a conditional generator.
    """
    lines = _network(model_id)
    if any(isinstance(group, str) for group in groups):
        given = f", torch.full((len(z),), {label})" if class_name is not None else ""
        lines += [
            f"found = {f'drain(attributes.find(lambda z: sample(network, z{given}), model.config))' if given else _CONTRASTS}",
            "means = {mean.name: mean.vector for each in found for mean in (each.present, each.absent)}",
        ]
    for letter, group in zip("abc", groups, strict=True):
        if isinstance(group, str):
            lines.append(f"{letter} = means[{group!r}]")
        elif group:
            lines.append(f"{letter} = model.z({list(group)!r}).mean(0)")
        else:
            lines.append(f"{letter} = torch.zeros(model.config.latent_dim)")
    lines += [
        f"jitter = {jitter!r} * attributes.jitter(model.config.latent_dim)",
        "around = torch.cat([jitter[:4], torch.zeros_like(c)[None], jitter[4:]])  # the result in the middle",
        f"z = attributes.move(c + around, a - b, {strength!r}, model.config.latent_distribution)",
        *_drawn(class_name),
        "Path('grid.png').write_bytes(png(enlarge(tile(images, columns=3), 4)))",
    ]
    return _script(lines)


def nearest(model_id: str, seeds: Seeds, neighbors: int, class_name: str | None = None) -> str:
    """Samples, each next to its nearest training images."""
    lines = [
        *_network(model_id),
        *_noise(seeds),
        *_drawn(class_name),
        *_JUDGE,
        f"distances, rows, farther = judge.neighbors(images, {neighbors!r})",
        "training = judge.reals.learned.dataset.images.numpy()[rows]  # uint8 (N, neighbors, C, H, W)",
        "pairs = np.concatenate([images[:, None], training], 1)",
        f"Path('grid.png').write_bytes(png(enlarge(tile(pairs.reshape(-1, *images.shape[1:]), columns={neighbors + 1}), 4)))",
    ]
    return _script(lines)


def projection(model_id: str, held_out: int | None, label: int | None = None, judged: bool = True) -> str:
    """The generator's image that is closest to an image.

    Args:
        held_out: the number of a held-out image; None for your own file.
        label: the class to draw; None to try all classes.
        judged: whether the data set's feature network is available for the comparison; otherwise pixel by pixel.
    """
    config = "model.config"
    lines = [f"model = find_model(checkpoints_root(), {model_id!r})", *(_JUDGE if judged or held_out is not None else ())]
    if held_out is None:
        lines.append(f"image = decode(Path('image.png').read_bytes(), *Form.of({config}))  # yours")
    else:
        lines.append(f"image = judge.reals.held_out.images()[{held_out!r}]")
    lines += [
        f"result = drain(project(load_generator(model.path), image, {'judge.network' if judged else None}, {label!r}))",
        "images = result.found.image[None]  # of the latent vector result.found.z",
        _PICTURE,
    ]
    return _script(lines)


def _network(model_id: str) -> list[str]:
    return [f"model = find_model(checkpoints_root(), {model_id!r})", "network = load_generator(model.path).network"]


def _noise(seeds: Seeds) -> list[str]:
    return [f"z = model.z(latent.parse_seeds({seed_text(seeds)!r}))"]


def _drawn(class_name: str | None, with_labels: bool = False, in_training: bool = False) -> list[str]:
    """The lines that draw z, in one class if one is named."""
    draw = "sample_as_in_training" if in_training else "sample"
    lines = []
    if class_name is not None and not with_labels:
        lines.append(f"labels = torch.full((len(z),), model.class_names.index({class_name!r}))")
    labels = ", labels" if class_name is not None or with_labels else ""
    return [*lines, f"images = {draw}(network, z{labels})  # uint8 (N, C, H, W)"]


def _script(lines: Sequence[str]) -> str:
    """Lines, after the imports that they need."""
    used = {node.id for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Name)}
    blocks = []
    for block in _IMPORTS:
        needed = [(line, [name for name in names if name in used]) for line, names in block]
        blocks.append([line.format(", ".join(names)) for line, names in needed if names])
    return "\n\n".join("\n".join(block) for block in [*blocks, lines] if block) + "\n"
