"""The way from a latent vector to an image, layer by layer."""

import streamlit as st

from gan import glossary
from gan.inside.files import Networks
from gan.inside.layers import activations
from gan.inside.pictures import as_map, paint
from ui.address import bound
from ui.dice import seed_dice
from ui.inside.choose import class_number
from ui.layer_view import layer_view


def generator_view(networks: Networks) -> None:
    """From noise to an image."""
    st.markdown("Follow a latent vector through the generator, layer by layer, until it is an image.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = st.number_input("Seed", 0, 2**31 - 1, 1, key="seed", bind=bound("seed"), help=glossary.explain("latent vector"), width=160)
        seed_dice("seed")
        label = class_number(networks, "Class", "The class that the generator draws.")
    z = networks.z(int(seed))
    layers = activations(networks.generator, z, networks.labels(label))
    noise = paint(as_map(z.numpy()), signed=True)[0]
    layer_view(layers, f"z, {networks.config.latent_dim} random numbers", noise, "layer")
