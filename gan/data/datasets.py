"""Name, folder, archive or arrays -> ImageDataset: every image as uint8, decoded once. Knows nothing about networks or runs.

Generators load the sets: they yield Progress and return the set, so the caller can show progress and stop them.
"""

import functools
import os
import tempfile
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gan.config import TrainConfig
from gan.data import arrays, cache, folders, imagefiles, imageset, pairs, parts, published, tables, tars
from gan.data.archives import Archive, Member
from gan.data.decoding import SUFFIXES, SUFFIXES_OF_FILES
from gan.data.drawn import DRAWN
from gan.data.form import WHITE, Fit, Form, Pairs
from gan.data.imageset import Filling, ImageDataset, Loading, data_root
from gan.data.intensity import darkness
from gan.data.leftout import LeftOut, endings, no_set
from gan.data.pairs import Both, Content
from gan.data.parts import Choice
from gan.data.translation import with_held_out
from gan.events import Progress
from gan.lru import Lru

NAMED = ("mnist", "faces", "fashion-mnist", "cifar10", "sketches")  # all of them have test images
OWN = "own:"  # prefix for a folder below data_root() with the same name as one of NAMED
# Folders below data_root() that are not sets: the cache, and published sets in torchvision's layout.
RESERVED = {"cache", "MNIST", "FashionMNIST", "cifar-10-batches-py", "cifar-10-batches-bin"}
UPLOADED_ZIP, UPLOADED_ABOUT = "images.zip", "upload.json"  # a folder with these is an uploaded set; see uploads.py
# Published sets in their own form, by their files: runs and pages share one copy, and nobody decompresses them again.
_unchanged: Lru[Hashable, ImageDataset] = Lru(most_bytes=128 * 2**20, size=lambda dataset: dataset.images.nbytes)


def available() -> list[str]:
    """The sets that need no path: the named ones, then the folders below data_root()."""
    own = [OWN + name if name in NAMED else name for name in _own_folders() if name not in RESERVED]
    return [*NAMED, *own]


def _own_folders() -> list[str]:
    root = data_root()
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")) if root.is_dir() else []


def shadowed(name: str) -> str:
    """What else a built-in set's name could mean, and how to name that instead; empty if nothing."""
    if name not in NAMED:
        return ""
    own = [f"the folder {data_root() / name} is called {OWN}{name}"] if name in _own_folders() else []
    elsewhere = Path(name).is_dir() and Path(name).resolve() != (data_root() / name).resolve()
    here = [f"the folder {name} in this directory is called ./{name}"] if elsewhere else []
    return f"{name} is the built-in data set; {' and '.join([*own, *here])}" if own or here else ""


def place(name: str) -> Path | None:
    """The path of a set that is not a named one: a plain name is looked up below data_root() first, a path as a path first."""
    below, path = data_root() / name.removeprefix(OWN), Path(name).expanduser()
    if name.startswith(OWN):
        candidates = [below] if name.removeprefix(OWN) in _own_folders() else [path]
    else:
        candidates = [path, below] if os.sep in name else [below, path]
    return next((candidate for candidate in candidates if candidate.exists()), None)


def native(name: str) -> tuple[int, int]:
    """The best (image_size, channels) for showing a set: its own, if it has one."""
    known = published.SETS.get(name)
    return (known.image_size, known.channels) if known else (64, 3)


def to_download(name: str) -> int:
    """Bytes to download before a set can be used; 0 if it is on this machine."""
    known = published.SETS.get(name)
    return known.download if known and not published.find(name, data_root()) else 0


def load(
    name: str,
    image_size: int,
    channels: int,
    split: str = "train",
    fit: Fit = "crop",
    background: str = WHITE,
    paired: Pairs = "",
) -> Loading:
    """Loads a set at one image size.

    Args:
        name: one of NAMED, a folder below data_root() (with OWN before it if NAMED has the same name), or the path of a folder, a zip
            or a tar of images, or of arrays or a table of images. Class subfolders become labels, as in torchvision's ImageFolder;
            folders around everything do not. train/ and test/ next to each other are parts; see parts.choose().
        image_size: height and width in pixels.
        channels: 1 for gray, 3 for RGB.
        split: "train"; "all" adds the test images if the set has any; "test" loads only these.
        fit: how other shapes fit into the square; see Form.
        background: the color behind transparent areas and of added borders, as #rrggbb.
        paired: reads files and folders as pairs of images, and says which image of a pair is the input; see pairs.choose(). Built-in
            sets of pairs are read as such in any case.

    Yields:
        Progress.

    Raises:
        ValueError: the set or file does not exist, has no test images, has no usable image, cannot be downloaded, or there is
            no room.
    """
    form = Form(image_size, channels, fit, background, paired)
    if name in published.SETS:
        return (yield from _published(name, form, split))
    if name in DRAWN:
        return (yield from _drawn(name, form, split))
    path = place(name)
    if path is None:
        raise ValueError(
            f"there is no data set {name!r}: choose one of {', '.join(available())}, or give the path of a folder, an archive or a file of images"
        )
    if (path / UPLOADED_ABOUT).is_file():
        return (yield from load_zip(name, path / UPLOADED_ZIP, form, split))
    if path.is_dir():
        return (yield from _folder(name, path, form, split))
    if not path.is_file():
        raise ValueError(f"{path} is neither a folder nor a file: choose one of them")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return (yield from load_zip(name, path, form, split))
    if path.name.lower().endswith(tars.SUFFIXES):
        return (yield from _tar(name, path, form, split))
    if suffix == tables.SUFFIX:
        return (yield from _table(name, path, form, split))
    if arrays.known(path):
        return (yield from _arrays(name, path, form, split))
    raise ValueError(no_set(path, SUFFIXES_OF_FILES, (".zip", *tars.SUFFIXES, *arrays.SUFFIXES, tables.SUFFIX)))


def load_for(config: TrainConfig, split: str = "") -> Loading:
    """The images of a run, as load(). For a run that translates images, with those that training never sees.

    split: a part of the set other than the run's own.
    """

    def part(split: str) -> Loading:
        return load(config.data, config.image_size, config.channels, split, config.fit, config.background, config.pairs)

    dataset = yield from part(split or config.data_split)
    if split or not config.translates:
        return dataset
    return with_held_out(dataset, (yield from part("test")) if dataset.tests else None)


def forget(path: Path) -> None:
    """Deletes a zip's images from the cache, at every size.

    Raises:
        ValueError: it is not a zip.
    """
    with Archive(path, SUFFIXES) as archive:
        ways = (parts.choose, pairs.choose)
        digests = {imageset.digest_of(choose(archive.members, split)) for choose in ways for split in ("train", "test", "all")}
    for digest in digests:
        for entry in (data_root() / "cache").glob(f"{digest}-*"):
            cache.drop(entry)


def _published(name: str, form: Form, split: str) -> Loading:
    form = Form(form.image_size, form.channels)  # these images are square and opaque
    files = yield from published.obtain(name, data_root())
    known = published.SETS[name]

    def fill(writer: cache.Writer) -> Filling:
        images, writer.labels = yield from published.read(name, files, split)
        writer.about |= {"class_names": known.class_names, "tests": known.tests}
        for start in range(0, len(images), 2000):
            yield Progress("Resizing the images", start, len(images))
            writer.add(imageset.resize(torch.from_numpy(images[start : start + 2000]), form).numpy())

    if (form.image_size, form.channels) == native(name) and not files[0].name.endswith(".tar.gz"):
        key = (name, split, *((file.parent, *stamp) for file, stamp in zip(files, imageset.stamps(files), strict=True)))
        dataset = _unchanged.get(key)
        if dataset is None:
            images, labels = yield from published.read(name, files, split)
            dataset = imageset.fingerprinted(
                ImageDataset(name, torch.from_numpy(images), torch.from_numpy(labels), known.class_names, tests=known.tests)
            )
            _unchanged.put(key, dataset)
        return dataset
    digest = imageset.digest([split, *imageset.stamps(files)])
    return (yield from imageset.kept(name, digest, form, known.images, fill))


def _drawn(name: str, form: Form, split: str) -> Loading:
    """A set that the project draws itself. It is drawn in color; gray images are made of these."""
    direction, form = form.pairs, Form(form.image_size, form.channels)  # these images are square and opaque
    known = DRAWN[name]
    part = known.part(split)

    def fill(writer: cache.Writer) -> Filling:
        facts = []
        for number, index in enumerate(part):
            if number % 50 == 0:
                yield Progress(f"Drawing {known.what} (once)", number, len(part))
            pixels, attributes = known.draw(index, form.image_size)
            writer.add(pixels[None])
            facts.append(attributes)
        writer.attributes = np.stack(facts)
        writer.labels = writer.attributes[:, 0].astype(np.int64)
        writer.about |= {"class_names": list(known.class_names), "attribute_names": known.attribute_names, "tests": known.tests}

    # Sets with the same digest share a cache entry. Caches made when there was one drawn set know the faces without a name.
    named = [] if name == "faces" else [name]
    digest = imageset.digest([*named, *([part.start] if part.start else []), part.stop, known.version])
    in_color = form._replace(channels=3, pairs="a_to_b" if known.paired else "")
    drawn = yield from imageset.kept(name, digest, in_color, len(part), fill)
    if form.channels == 1:
        inputs = imageset.resize(drawn.inputs, form) if drawn.inputs is not None else None
        drawn = replace(drawn, images=imageset.resize(drawn.images, form), inputs=inputs)
    if direction == "b_to_a" and drawn.inputs is not None:
        drawn = replace(drawn, images=drawn.inputs, inputs=drawn.images)
    return drawn


def _folder(name: str, folder: Path, form: Form, split: str) -> Loading:
    """Images of a folder and everything below it, sorted by path."""
    listing = yield from folders.look(folder, SUFFIXES_OF_FILES)
    if not listing.members:
        raise ValueError(f"{folder} holds no images{_instead(listing)}; supported endings are {', '.join(sorted(SUFFIXES_OF_FILES))}")
    # Identified by names, sizes and modification times: reading the files would take a good part of the time that decoding takes.
    return (yield from _files(name, str(folder), listing.members, lambda member: member.source, listing.left_out, form, split))


def _instead(listing: folders.Listing) -> str:
    """What a folder without images contains."""
    first = listing.left_out.sentences[0] if listing.left_out else "it is empty"
    return f": its files end in {endings(listing.names)}; {first}" if listing.names else f": {first}"


def load_zip(name: str, path: Path, form: Form, split: str = "train") -> Loading:
    """load() for a zip whose set has another name than the file."""
    yield Progress("Looking for images", 0, 0)
    try:
        archive = Archive(path, SUFFIXES)
    except ValueError as error:
        raise ValueError(f"the file {name} {error}") from None
    with archive:
        _refuse_empty(name, archive)
        # Identified by names, sizes and the checksums in the table of contents: by content, and fast.
        where = f"the file {name}"
        return (yield from _files(name, where, archive.members, archive.read, archive.left_out, form, split))


def _refuse_empty(name: str, archive: Archive | tars.Tar) -> None:
    if not archive.members:
        left_out = archive.left_out
        reason = f"; the first of {len(left_out):,} other files: {left_out.sentences[0]}" if left_out else ""
        raise ValueError(f"the file {name} holds no usable images{reason}")


def _tar(name: str, path: Path, form: Form, split: str) -> Loading:
    """Images of a tar. It is identified by the file itself, because looking into a packed tar means unpacking it."""
    digest = imageset.digest(["tar", split, *imageset.stamps([path])])
    if entry := cache.read(imageset.entry_of(digest, form)):
        return imageset.from_cache(name, entry)
    with tars.Tar(path, imageset.scratch()) as archive:
        try:
            yield from archive.look(SUFFIXES)
        except ValueError as error:
            raise ValueError(f"the file {name} {error}") from None
        _refuse_empty(name, archive)
        choice = _chosen(name, archive.members, split, form)
        choice.left_out.extend(archive.left_out)

        def fill(writer: cache.Writer) -> Filling:
            yield from imagefiles.decode_all(f"the file {name}", choice, _reading(archive.read, form), form, writer)
            _note(writer, choice)

        return (yield from imageset.kept(name, digest, form, len(choice.members), fill))


def _table(name: str, path: Path, form: Form, split: str) -> Loading:
    """Images of a Parquet file."""
    form = form.single
    if split == "test":
        raise ValueError(f"the data set {name} has no test images: it is one table")
    table = tables.Table(path)
    choice = Choice(table.members, table.classes, table.numbers)
    fill = functools.partial(imagefiles.decode_all, f"the file {name}", choice, table.read, form)
    digest = imageset.digest(["table", *imageset.stamps([path])])
    return (yield from imageset.kept(name, digest, form, len(choice.members), fill, choice))


def _arrays(name: str, path: Path, form: Form, split: str) -> Loading:
    """Images of arrays: identified by the files themselves."""
    form = form.single
    digest = imageset.digest(["arrays", arrays.VERSION, split, *imageset.stamps(arrays.files(path))])
    if entry := cache.read(imageset.entry_of(digest, form)):
        return imageset.from_cache(name, entry)
    with tempfile.TemporaryFile(dir=imageset.scratch()) as numbers:
        try:
            read = yield from arrays.read(path, numbers)
            chosen = read.part(split)
            if not chosen:
                raise ValueError("has no test images")
        except ValueError as error:
            raise ValueError(f"the file {name} {error}") from None

        def fill(writer: cache.Writer) -> Filling:
            brightest = 0
            try:
                for done, images in read.images(split, form):
                    yield Progress("Resizing the images", done, chosen)
                    writer.add(imageset.resize(torch.from_numpy(images), form).numpy())
                    brightest = max(brightest, int(images.max()))
            except ValueError as error:  # the file is cut
                raise ValueError(f"the file {name} {error}") from None
            dark = [note] if (note := darkness(brightest)) else []
            writer.labels = read.labels(split)
            writer.about |= {"class_names": read.classes, "notes": [*read.notes, *dark], "tests": read.part("test")}

        return (yield from imageset.kept(name, digest, form, chosen, fill))


def _reading(read: Callable[[Member], Content], form: Form) -> Callable[[Member], Content | Both]:
    return pairs.reader(read) if form.pairs else read


def _chosen(name: str, members: list[Member], split: str, form: Form) -> Choice:
    """parts.choose() or pairs.choose(), refused if nothing is left."""
    choice = pairs.choose(members, split) if form.pairs else parts.choose(members, split)
    if form.pairs and not choice.members and split != "test":
        raise ValueError(f"the data set {name} holds no pairs: {choice.left_out.sentences[0]}")
    if not choice.members:
        raise ValueError(f"the data set {name} has no test images: it needs a folder called test, val or valid next to one called train")
    return choice


def _files(
    name: str,
    where: str,
    members: list[Member],
    read: Callable[[Member], Path | bytes | str],
    left_out: LeftOut,
    form: Form,
    split: str,
) -> Loading:
    """A set of image files, identified by the files."""
    choice = _chosen(name, members, split, form)
    choice.left_out.extend(left_out)
    fill = functools.partial(imagefiles.decode_all, where, choice, _reading(read, form), form)
    return (yield from imageset.kept(name, imageset.digest_of(choice), form, len(choice.members), fill, choice))


def _note(writer: cache.Writer, choice: Choice) -> None:
    """Stores in the cache what is known about a set before decoding, because the list of its files is not read again."""
    left_out = LeftOut()
    left_out.extend(choice.left_out)
    left_out.extend(LeftOut.from_json(writer.about["left_out"]))
    writer.about |= {"left_out": left_out.as_json(), "notes": [*choice.notes, *writer.about["notes"]], "tests": choice.tests}
