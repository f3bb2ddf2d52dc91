"""Look inside: what every layer makes of an input, the layers at the pixels, norms over time, and what D thinks of an image."""

from pathlib import Path

import numpy as np
import streamlit as st

from gan import glossary
from gan.data import datasets
from gan.explore.models import pretrained
from gan.images import enlarge, png, tile
from gan.inside.files import NETWORKS, NEWEST, Networks, network_files
from gan.inside.layers import COMPANY, activations, affordable, answers, as_input, draw
from gan.inside.norms import read_norms
from gan.inside.pictures import as_map, first_filters, last_filters, paint, paint_filters
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.run import explain
from ui.address import bound
from ui.components.visitor import heading
from ui.layer_view import layer_view
from ui.norm_charts import KINDS, norm_chart, norm_words
from ui.own_image import drawing, own_image
from ui.page_files import NEW_RUN, TRAIN
from ui.progress import drain
from ui.text import plain
from ui.workshop import manager, network_cache

VIEWS = ["Generator", "Discriminator", "Filters", "Norms over time"]
REAL, GENERATED, UPLOADED, DRAWN = "Real", "Generated", "Your own", "Drawn"
ALONE, AMONG_REAL, AMONG_FAKES = "Alone", "Among real", "Among generated"
CHOICE = 12  # images to choose from
REFERENCE = 8  # generated images whose answers an image is held against
FILTERS = 64


@st.cache_data(show_spinner="Asking the discriminator…", max_entries=100)
def judge(path: Path, stamp: int, images: np.ndarray, labels: list[int], company: np.ndarray | None) -> list[float]:
    """answers() of a file's networks. stamp: the file's time, so that a newer file is asked anew."""
    return answers(network_cache().get(path), images, labels, company)


@st.cache_data(show_spinner=False, max_entries=30)
def drawn(path: Path, stamp: int, seeds: list[int], label: int) -> np.ndarray:
    """draw() of a file's generator."""
    return draw(network_cache().get(path), seeds, label)


def choose() -> tuple[str, Path] | None:
    """The run, or the shipped generator, and the file that holds its networks at the step that is asked for."""
    runs = [run.id for run in manager().runs()]
    names = [*runs, *(name for name in sorted(pretrained(manager().root)) if name not in runs)]
    if not names:
        st.info("There are no networks yet. Train one first.", icon=":material/lightbulb:")
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return None
    asked = st.session_state.get("run", st.query_params.get("run", NEWEST))
    if asked not in (NEWEST, NEW_RUN, *names):
        st.warning(f"There is no run {plain(str(asked)[:100])} on this server.", icon=":material/search_off:")
    if asked not in (NEWEST, *names):
        st.session_state.pop("run", None)
    left, right = st.columns(2)
    # "newest" is an option of its own, so that the address of a run keeps its meaning when another one begins.
    name = left.selectbox(
        "Run, or generator that comes with the app",
        [NEWEST, *names],
        key="run",
        bind="query-params",
        help="Runs come first, the newest on top. A generator that comes with the app has no discriminator.",
    )
    name = name if name in names else names[0]
    try:
        files = network_files(manager().root, name)
    except KeyError:
        st.warning(f"The run {plain(name)} has just been deleted.", icon=":material/search_off:")
        return None
    if not files:
        st.info(
            "This run has not kept its networks yet: the generator is kept from the first step on, both networks every minute and when it "
            "stops. Look again in a moment.",
            icon=":material/hourglass_empty:",
        )
        return None
    step = NEWEST
    if len(files) > 1:
        step = right.select_slider(
            "After step",
            list(files),
            NEWEST,
            key="at",
            bind="query-params",
            help="Checkpoints hold both networks; snapshots hold the generator alone.",
        )
    return name, files[step]


def class_number(networks: Networks, label: str, help: str) -> int:
    """The class that is asked for; 0 for networks that know none."""
    names = list(networks.class_names)
    if not names:
        return 0
    if st.session_state.get("class") not in names:  # another run's
        st.session_state.pop("class", None)
    return names.index(st.selectbox(label, names, key="class", bind="query-params", help=help, width=320))


def generator_view(networks: Networks) -> None:
    """From noise to an image."""
    st.markdown("Follow a latent vector through the generator, layer by layer, until it is an image.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key="seed", bind=bound("seed"), help=glossary.explain("latent vector"), width=160)
        label = class_number(networks, "Class", "The class that the generator draws.")
    z = networks.noise(int(seed))
    layers = activations(networks.generator, z, networks.labels(label))
    noise = paint(as_map(z.numpy()), signed=True)[0]
    layer_view(layers, f"z, {networks.config.latent_dim} random numbers", noise, "layer")


def another_draw() -> None:
    st.session_state["real_draw"] = st.session_state.get("real_draw", 0) + 1


def real_images(networks: Networks) -> tuple[np.ndarray, list[int]] | None:
    """CHOICE + COMPANY of the images that the run was trained on, and their classes; None with the reason on the page."""
    config = networks.config
    number = st.session_state.get("real_draw", 0)
    key = (config.data, config.image_size, config.channels, config.data_split, networks.class_names, number)
    kept = st.session_state.get("real_images")
    if kept and kept[0] == key:
        return kept[1]
    name = plain(config.data)
    if config.data not in datasets.available():  # a path, say, which only the command line may name
        st.info("This run's training images are not on this server. Choose Generated instead.", icon=":material/info:")
        return None
    if datasets.to_download(config.data):
        st.info(f"The data set {name} is not on this server; the Data page can download it.", icon=":material/info:")
        return None
    if st.session_state.get("cancelled") == key and not st.button("Load the real images", icon=":material/photo_library:"):
        st.caption(f"Loading the data set {name} was cancelled.")
        return None
    st.session_state.pop("cancelled", None)

    def cancel() -> None:
        st.session_state["cancelled"] = key

    try:
        dataset = drain(datasets.load(config.data, config.image_size, config.channels, config.data_split), "cancel_load", cancel)
    except (ValueError, OSError) as error:
        st.error(f"The data set {name} cannot be read: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None
    which = np.random.default_rng(number).choice(len(dataset), CHOICE + COMPANY, replace=len(dataset) < CHOICE + COMPANY)
    labels = []
    if networks.class_names:
        if dataset.class_names != networks.class_names or dataset.labels is None:
            st.error(f"The data set {name} has other classes than when the run began.", icon=":material/error:")
            return None
        labels = dataset.labels[which].tolist()
    kept = (key, (dataset.images[which].numpy(), labels))
    st.session_state["real_images"] = kept
    return kept[1]


def as_text(networks: Networks, answer: float) -> str:
    """A probability or a score, as it is shown."""
    return f"{answer:.3g}" if networks.config.has_scores else f"{answer:.2f}"


def pick(number: int) -> None:
    st.session_state["picked"] = number


def pick_one(networks: Networks, images: np.ndarray, numbers: list[float], what: str) -> int:
    """A row of images with D's answer on a button below each; the one whose button was pressed last."""
    st.caption("D's answer is below each image. Press one to open that image.")
    picked = min(st.session_state.get("picked", 0), len(images) - 1)
    small = enlarge(images, max(1, 84 // images.shape[-1]))
    with st.grid("auto", min_column_width=68, gap="xsmall"):
        for i, (image, number) in enumerate(zip(small, numbers, strict=True)):
            with st.container(gap="xsmall"):
                st.image(png(image, 1), alt=f"{what} {i + 1}", output_format="PNG", width="stretch")
                kind = "primary" if i == picked else "secondary"
                st.button(as_text(networks, number), key=f"pick{i}", type=kind, on_click=pick, args=(i,), width="stretch")
    return picked


def missing_discriminator(name: str, path: Path) -> None:
    """Why D's side cannot be shown."""
    files = network_files(manager().root, name)
    states = [step for step, file in files.items() if file.suffix == ".pt"]
    if path.parent.name != name:
        said = "A generator that comes with the app has no discriminator. Choose a run instead."
    elif states:
        said = f"This step has the generator alone. The discriminator is saved at step {', '.join(states)}."
    else:
        said = "This run has no checkpoint yet. It saves one every minute and when it ends."
    st.info(said, icon=":material/info:")


def discriminator_view(networks: Networks, path: Path) -> None:
    """From an image to an answer: D's answers to images of all kinds, and the way of one of them."""
    config = networks.config
    st.markdown("See how the discriminator answers an image, layer by layer.")
    with st.container(horizontal=True, gap="medium"):
        kinds = [REAL, GENERATED, UPLOADED] + ([DRAWN] if config.channels == 1 else [])
        if st.session_state.get("image", REAL) not in kinds:
            st.session_state.pop("image", None)
        kind = st.segmented_control("Image", kinds, default=REAL, key="image", bind="query-params", required=True, wrap=True)
        kind = kind or REAL  # ?image= clears even what is required
        judged = ALONE
        if networks.depends_on_company:
            judged = st.segmented_control(
                "Judged",
                [ALONE, AMONG_REAL, AMONG_FAKES],
                default=AMONG_FAKES if config.minibatch_std else ALONE,
                key="judged",
                bind="query-params",
                required=True,
                wrap=True,
                help="Batch normalization makes D's answer depend on the other images in the batch. Alone uses the averages from training.",
            )
            judged = judged or (AMONG_FAKES if config.minibatch_std else ALONE)  # ?judged= clears even what is required
    needs_real = kind == REAL or judged == AMONG_REAL
    real = real_images(networks) if needs_real else None
    if needs_real and real is None:
        return
    label = 0 if kind == REAL else class_number(networks, "Class", "The class that D is given with the image, and that G draws.")
    stamp = path.stat().st_mtime_ns
    company = None
    if judged == AMONG_FAKES:
        company = drawn(path, stamp, list(range(1000, 1000 + COMPANY)), label)
    elif judged == AMONG_REAL and real:
        company = real[0][CHOICE:]

    def ask(images: np.ndarray, labels: list[int]) -> list[float]:
        return judge(path, stamp, images, labels if networks.class_names else [], company)

    count = affordable(networks, CHOICE, company is not None)
    if kind in (REAL, GENERATED):
        if kind == REAL:
            assert real is not None
            images, labels = real[0][:count], real[1][:count] or [0] * count
            st.button("Other images", icon=":material/shuffle:", on_click=another_draw)
        else:
            images = drawn(path, stamp, list(range(100, 100 + count)), label)
            labels = [label] * count
        picked = pick_one(networks, images, ask(images, labels), "Real image" if kind == REAL else "Generated image")
        image, label = images[picked], labels[picked]
        left, right = st.columns([1, 2], gap="medium")
    else:
        first, left, right = st.columns(3, gap="medium")
        with first:
            own = own_image(config) if kind == UPLOADED else drawing(config)
        if own is None:
            left.caption("D's answer appears here.")
            return
        image = own
    (answer,) = ask(image[None], [label])
    left.image(
        png(enlarge(image, max(1, 224 // config.image_size)), 1),
        alt="The image as the discriminator sees it",
        caption=f"What D sees: {config.image_size} x {config.image_size} pixels",
        output_format="PNG",
        width=224,
    )
    with right:
        verdict(networks, answer)
        few = drawn(path, stamp, list(range(affordable(networks, REFERENCE, company is not None))), label)
        mean = float(np.mean(ask(few, [label] * len(few))))
        st.caption(f"{len(few)} generated images, judged the same way, get {as_text(networks, mean)} on average.")
        for note in notes(networks, kind, label):
            st.caption(note)
    st.subheader("Layer by layer", help=None if config.has_scores else "The last number is a logit: D's answer is 1 / (1 + exp(-logit)).")
    assert networks.discriminator is not None
    layers = activations(networks.discriminator, as_input(image), networks.labels(label), company)
    layer_view(layers, "The image", image, "d_layer")


def verdict(networks: Networks, answer: float) -> None:
    """D's answer to one image, in words and as a number."""
    if networks.config.has_scores:
        st.metric("D's score", as_text(networks, answer), help=glossary.explain("critic"))
        return
    st.metric(
        "D's answer", as_text(networks, answer), help="The probability that the image is real, as D sees it: 0 is generated, 1 is real."
    )
    said = "D thinks it is generated." if answer < 0.4 else "D thinks it is real." if answer > 0.6 else "D cannot tell."
    st.markdown(said)


def notes(networks: Networks, kind: str, label: int) -> list[str]:
    """What one should know of how D was asked."""
    config, said = networks.config, []
    if networks.class_names:
        said.append(f"Judged as {plain(networks.class_names[label])}, which adds a part of its own to the last number.")
    if config.packing > 1:
        said.append(f"This discriminator judges {config.packing} images together; here the image stands for all of them.")
    if config.minibatch_std:
        said.append(
            "This discriminator also looks at how much the images of a batch differ; alone, an image looks like one drawn again and again."
        )
    if config.instance_noise or config.diffaugment != "off" or config.dropout:
        said.append("In training, D sees disturbed images or drops features. Here it sees the clean image.")
    if kind == DRAWN:
        said.append("Draw as large, bold and centered as the real images.")
    return said


def filters_view(networks: Networks, name: str, path: Path) -> None:
    """The weights of the layers that touch the pixels, as pictures."""
    dense = networks.config.networks == "mlp"
    colours = "red where it weighs positively, blue where negatively, white at 0" if networks.config.channels == 1 else "gray is 0"
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Discriminator, first layer")
        if networks.discriminator is None:
            missing_discriminator(name, path)
        else:
            said = (
                f"Each picture is what one number of the first dense layer weighs the whole image by: {colours}."
                if dense
                else f"Each square is one filter: the pattern that it looks for at every place of the image ({colours})."
            )
            show_filters(first_filters(networks), said)
    with right:
        st.subheader("Generator, last layer")
        said = (
            f"Each picture is what one number before the last layer adds to the image: {colours}."
            if dense
            else f"Each square is what one map before the last layer paints around each of its pixels ({colours}). The image is the sum of all."
        )
        show_filters(last_filters(networks), said)


def show_filters(filters: np.ndarray, said: str) -> None:
    """Filters, those with the largest weights first."""
    order = (-np.square(filters).sum(axis=(1, 2, 3))).argsort(kind="stable")[:FILTERS]
    pictures = paint_filters(filters[order])
    columns = 8 if pictures.shape[-1] <= 2 * pictures.shape[-2] else 4
    picture = tile(enlarge(pictures, max(1, 48 // pictures.shape[-2])), columns=columns, gap=4)
    st.image(png(picture, 1), alt=f"{len(order)} filters", output_format="PNG", width="stretch")
    count = f"All {len(filters)}" if len(order) == len(filters) else f"The {len(order)} of {len(filters)} with the largest weights"
    st.caption(f"{said} {count}, largest first, each on a scale of its own.")


def norms_view(name: str) -> None:
    """Norms of weights and gradients over time."""
    norms = read_norms(RunFolder(manager().root / name))
    if norms is None:
        st.info(
            "These networks have no norms. Runs record them in training; old runs and generators that come with the app have none.",
            icon=":material/info:",
        )
        return
    st.markdown(
        "The norm of each layer's weights and gradients. A layer with vanishing gradients learns nothing; exploding gradients ruin it."
    )
    everything = st.toggle("Show biases and normalization layers", key="everything", bind="query-params")
    words = []
    for network in NETWORKS:
        for column, kind in zip(st.columns(2, gap="medium"), KINDS, strict=True):
            said = norm_words(norms, network, kind, everything)
            figure = norm_chart(norms, network, kind, everything)
            column.plotly_chart(figure, key=f"{network}_{kind}", alt=said, config={"displaylogo": False})
            words.append(said)
    with st.expander("The charts in words"):
        for said in words:
            st.markdown(plain(said))


def about(name: str, networks: Networks, path: Path) -> None:
    """Which networks these are."""
    which = "Both networks" if networks.discriminator else "The generator"
    said = f"{which} of {name} after step {networks.step:,}. It is the EMA generator, which draws the samples."
    if path.parent.name != "pretrained" and name in {run.id for run in manager().runs() if run.at_work}:
        said += " The run is still training: reload the page for a newer state."
    st.caption(said, help=glossary.explain("EMA generator"))


heading("Look inside")
chosen = choose()
if chosen:
    name, path = chosen
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], key="look", bind="query-params", required=True, label_visibility="collapsed"
    )
    view = view or VIEWS[0]  # ?look= clears even what is required
    try:
        if view == "Norms over time":
            norms_view(name)
        else:
            networks = network_cache().get(path)
            about(name, networks, path)
            if view == "Generator":
                generator_view(networks)
            elif view == "Filters":
                filters_view(networks, name, path)
            elif networks.discriminator is None:
                missing_discriminator(name, path)
            else:
                discriminator_view(networks, path)
    except (CheckpointError, OSError) as error:  # the file may go while it is looked at
        st.error(f"{plain(explain(error).rstrip('.'))}.", icon=":material/error:")
