"""The terms the app uses, each explained once: tooltips and docs/glossary.md read from here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A word and what it means here.

    Attributes:
        name: as shown on screen.
        text: at most two or three plain sentences.
        source: the paper that introduced it; empty for general terms.
    """

    name: str
    text: str
    source: str = ""


_ALL = (
    # What trains, and on what.
    Term(
        "GAN",
        "Generative adversarial network: a generator makes images, a discriminator tells them from real ones, and the two train against "
        "each other.",
        "Goodfellow et al. 2014",
    ),
    Term(
        "DCGAN",
        "A GAN built from convolutional layers with batch normalization: the first kind that trained reliably.",
        "Radford et al. 2016",
    ),
    Term("generator", "The network (G) that turns a latent vector into an image."),
    Term("discriminator", "The network (D) that looks at an image and says how likely it is to be real."),
    Term(
        "critic",
        "The discriminator of a Wasserstein GAN. It gives an unbounded score, not a probability.",
        "Arjovsky et al. 2017",
    ),
    Term(
        "latent vector",
        "The list of random numbers (z) that the generator starts from. The same latent vector always gives the same image.",
    ),
    Term("latent space", "All latent vectors together. Neighbors in this space give similar images, so you can walk through it."),
    Term("seed", "A number that fixes random draws. Each latent vector is named by its seed."),
    Term("real image", "An image from the data set."),
    Term("generated image", "An image made by the generator; also called a fake."),
    Term("class", "The kind of thing an image shows, such as the digit 7. Class folders in a data set give the classes."),
    Term("conditional", "A conditional GAN is given a class and generates an image of it.", "Mirza and Osindero 2014"),
    Term("held-out images", "Real images that the networks never train on, set aside for scoring."),
    # The game.
    Term("loss", "The number a network tries to minimize. In a GAN, when one network's loss falls, the other's often rises."),
    Term(
        "D(x)",
        'The discriminator\'s mean answer for real images: 1 means "surely real", 0 "surely generated". Near 0.5 it cannot tell them apart.',
    ),
    Term("D(G(z))", "The discriminator's mean answer for generated images. The generator tries to raise it."),
    Term(
        "equilibrium",
        "The point where the discriminator cannot tell real from generated images. It answers 1/2, its loss is 2 ln 2 = 1.386, and the "
        "generator's loss is ln 2 = 0.693.",
        "Goodfellow et al. 2014",
    ),
    Term("BCE", "Binary cross-entropy, the first GAN loss: the cost of a wrong yes-or-no answer, in nats.", "Goodfellow et al. 2014"),
    Term("hinge loss", "A loss that stops pushing once an answer is right by a margin of 1.", "Lim and Ye 2017; Miyato et al. 2018"),
    Term("Wasserstein loss", "The difference of the critic's mean scores for real and generated images.", "Arjovsky et al. 2017"),
    Term(
        "least-squares loss",
        "Trains D to answer 1 for real and 0 for generated images, by squared distance. Answers are unbounded.",
        "Mao et al. 2017",
    ),
    Term(
        "PatchGAN",
        "A discriminator that answers for each small patch of an image, not for the whole image.",
        "Isola et al. 2017",
    ),
    Term(
        "U-Net",
        "A generator that shrinks an image step by step and enlarges it again. Skip connections pass details from each size to the same size on the way back.",
        "Ronneberger et al. 2015",
    ),
    Term(
        "cycle consistency",
        "An image translated to the other class and back should be the same image again. So a translation keeps what the classes share.",
        "Zhu et al. 2017",
    ),
    Term(
        "SSIM",
        "Structural similarity: compares brightness, contrast and structure of two images in small windows. 1 means equal.",
        "Wang et al. 2004",
    ),
    Term("relativistic loss", "Asks whether a real image looks more real than a generated one.", "Jolicoeur-Martineau 2018"),
    # How training goes.
    Term(
        "step",
        "One update: the discriminator learns from a batch of real and generated images, then the generator learns from its answers.",
    ),
    Term("batch", "The images a network sees at once in one step."),
    Term("epoch", "One pass over all images of the data set."),
    Term("weights", "The numbers that a network learns."),
    Term("gradient", "The direction in which small changes of the weights raise a loss fastest. Training steps go the other way."),
    Term(
        "learning rate",
        "How far the weights move in each step. If it is too high, training breaks; if it is too low, training takes forever.",
    ),
    Term("momentum", "Adam's beta 1: how much of the previous direction carries over to the next step.", "Kingma and Ba 2015"),
    Term("Adam", "The usual optimizer: it gives each weight its own step size.", "Kingma and Ba 2015"),
    Term("run", "One training with its settings, curves, images and saved networks."),
    Term("recipe", "A named set of settings, often from a paper or a tutorial."),
    Term("fork", "A new run that continues from a saved state of another run, with some settings changed."),
    Term("replay", "A run retrained from its settings and the changes made while it trained."),
    Term("snapshot", "A generator saved at some step. You can open it in Explore."),
    Term("checkpoint", "Everything saved at some step: both networks, the optimizers and the random state."),
    Term(
        "EMA generator",
        "A generator whose weights are a moving average over training. Its images are cleaner than those of any single step, so samples and "
        "scores use it.",
        "Karras et al. 2018; Yazici et al. 2019",
    ),
    # What can go wrong.
    Term("mode", "A kind of image in the data, such as one digit or one hair style."),
    Term("mode collapse", "The generator draws only a few kinds of images, over and over."),
    Term("vanishing gradient", "The generator gets almost no signal to learn from, usually because the discriminator is far ahead."),
    Term("divergence", "A step is so large that the weights overflow, and the losses become NaN (not a number)."),
    Term("overfitting", "The discriminator memorizes its training images, and its answers stop helping the generator."),
    # Remedies.
    Term(
        "label smoothing",
        "Asks the discriminator for 0.9 instead of 1 on real images, so it does not become overconfident.",
        "Salimans et al. 2016",
    ),
    Term("instance noise", "Noise added to every image the discriminator sees, which makes its task harder.", "Sønderby et al. 2017"),
    Term("dropout", "Switches off a random share of features in each step."),
    Term("batch normalization", "Gives each feature mean 0 and variance 1 over the batch before it is scaled.", "Ioffe and Szegedy 2015"),
    Term(
        "spectral normalization",
        "Divides a layer's weights by their largest gain, so the discriminator cannot change too fast.",
        "Miyato et al. 2018",
    ),
    Term("weight clipping", "Keeps each weight of the critic within fixed bounds.", "Arjovsky et al. 2017"),
    Term("gradient penalty", "Keeps the critic's slope near 1 between real and generated images.", "Gulrajani et al. 2017"),
    Term("R1 and R2", "Penalties that flatten the discriminator around real (R1) and generated (R2) images.", "Mescheder et al. 2018"),
    Term(
        "DiffAugment",
        "Shifts, cutouts and color changes on every image the discriminator sees. It helps with small data sets.",
        "Zhao et al. 2020",
    ),
    Term(
        "adaptive augmentation",
        "Augments only as many images as needed to keep the discriminator from learning a small data set by heart.",
        "Karras et al. 2020",
    ),
    Term("packing", "The discriminator sees several images at once, so a generator that repeats itself is caught.", "Lin et al. 2018"),
    Term("minibatch deviation", "Shows the discriminator how much the images of a batch differ from each other.", "Karras et al. 2018"),
    Term(
        "minibatch discrimination",
        "Shows the discriminator how close each image is to the others of its batch, in features that it learns.",
        "Salimans et al. 2016",
    ),
    Term(
        "conditional batch normalization",
        "Batch normalization whose scale and shift depend on the class, and in BigGAN on a part of the latent vector too.",
        "Dumoulin et al. 2017; Brock et al. 2019",
    ),
    Term("self-attention", "A layer in which each place of an image sees all other places, not only its neighbors.", "Zhang et al. 2019"),
    Term(
        "orthogonal penalty",
        "Keeps the filters of a layer different from each other, so short latent vectors also give good images.",
        "Brock et al. 2019",
    ),
    Term(
        "feature matching",
        "The generator tries to match the discriminator's features of real images instead of raising its answer.",
        "Salimans et al. 2016",
    ),
    Term(
        "transposed convolution",
        "A layer that enlarges its input: each input value spreads the kernel over the output.",
        "Dumoulin and Visin 2016",
    ),
    # How good it is.
    Term(
        "FD",
        "Fréchet distance: how far generated images are from real ones in the features of a small network that knows this data. Lower is better.",
        "Heusel et al. 2017",
    ),
    Term("floor", "The score of the same number of real images: what a perfect generator would get."),
    Term(
        "FID",
        "The FD in the features of Inception, a network for large color photographs. It says little about small or gray images, so this app uses "
        "features of its own and never calls them FID.",
        "Heusel et al. 2017",
    ),
    Term("KID", "Kernel distance: like FD, but unbiased for small samples. Lower is better.", "Bińkowski et al. 2018"),
    Term("precision", "The share of generated images that lie near real ones.", "Kynkäänniemi et al. 2019"),
    Term("recall", "The share of real images that lie near generated ones.", "Kynkäänniemi et al. 2019"),
    Term("density", "How many real images surround each generated one. About 1 means as many as around a real image.", "Naeem et al. 2020"),
    Term(
        "coverage",
        "The share of real images with a generated image nearby. Low coverage means the generator leaves something out.",
        "Naeem et al. 2020",
    ),
    Term("standard error", "How far a score may be off by chance. Smaller differences mean nothing."),
    # Exploring.
    Term("interpolation", "Moving from one latent vector to another in small steps."),
    Term("lerp", "Interpolation along a straight line. Halfway, the vector is shorter than those the generator trained on."),
    Term("slerp", "Interpolation along the sphere, which keeps the vector's length.", "White 2016"),
    Term("truncation", "Shortens latent vectors, or moves styles toward their mean: images become more typical and less varied."),
    Term(
        "style",
        "What a StyleGAN's mapping network makes of a latent vector, also called w. It sets how strongly each layer uses each of its maps.",
        "Karras et al. 2019",
    ),
    Term(
        "style mixing",
        "Coarse layers get the style of one latent vector, fine layers that of another: the pose of one image, the colors of the other.",
        "Karras et al. 2019",
    ),
    Term(
        "principal components",
        "The few pictures that, added to the mean image in varying strength, come closest to all images of a data set.",
        "Pearson 1901; Turk and Pentland 1991",
    ),
    Term("principal directions", "The directions of the latent space that change the generator's features most.", "Härkönen et al. 2020"),
    Term("projection", "A search for the latent vector whose image is closest to a given one."),
    Term("filter", "A small learned pattern that a convolution looks for at every place of its input."),
    Term("feature map", "What one filter of a layer responds to, as a picture."),
    Term("logit", "A score that the sigmoid 1 / (1 + exp(-logit)) turns into a probability: 0 becomes 1/2."),
    Term("norm", "The length of a list of numbers, such as all weights of a layer or their gradient."),
    # Machines.
    Term("fp32", "The usual 32-bit number format."),
    Term("bf16", "A 16-bit number format with the range of fp32: faster on hardware made for it, but less exact."),
    Term("CUDA graph", "The GPU's work for one step, recorded once and then launched as a whole."),
    Term("cluster", "Several machines that train the runs of one server."),
    Term("worker", "A process on a machine of a cluster that trains one run."),
)

TERMS = {term.name: term for term in _ALL}


def explain(name: str) -> str:
    """What a term means, for a tooltip.

    Raises:
        KeyError: the glossary does not have it.
    """
    return TERMS[name].text


def as_markdown() -> str:
    """The whole glossary as docs/glossary.md has it."""
    lines = ["# Glossary", "", "The words the app uses, in alphabetical order. Its tooltips use the same list.", ""]
    for term in sorted(_ALL, key=lambda term: term.name.casefold()):
        lines.append(f"- **{term.name}**: {term.text}" + (f" ({term.source})" if term.source else ""))
    return "\n".join(lines) + "\n"
