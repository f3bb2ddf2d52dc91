"""Look inside: every layer's maps, the filters at the pixels, norms over time, and D's answers to images."""

import streamlit as st

from gan.networks.generator_file import CheckpointError, Translates
from gan.runs.run import explain
from ui.components.visitor import heading
from ui.inside.choose import about, choose, explore_it, missing_discriminator
from ui.inside.discriminator import discriminator_view
from ui.inside.filters import filters_view
from ui.inside.generator import generator_view
from ui.inside.norms import norms_view
from ui.text import plain
from ui.translates_note import translates_note
from ui.workshop import network_cache

VIEWS = ["Generator", "Discriminator", "Filters", "Norms over time"]

heading("Look inside")
chosen = choose()
if chosen:
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], key="look", bind="query-params", required=True, label_visibility="collapsed"
    )
    view = view or VIEWS[0]  # ?look= clears even what is required
    try:
        if view == "Norms over time":
            norms_view(chosen.name)
        else:
            path = chosen.file(both=view != "Generator")
            networks = network_cache().get(path)
            about(chosen, networks)
            if view == "Generator":
                generator_view(networks)
            elif view == "Filters":
                filters_view(networks, chosen.name, path)
            elif networks.discriminator is None:
                missing_discriminator(chosen.name, path)
            else:
                discriminator_view(networks, path)
    except Translates:
        translates_note(chosen.name)
    except (CheckpointError, OSError) as error:  # the file may be deleted while someone looks at it
        st.error(f"{plain(explain(error).rstrip('.'))}.", icon=":material/error:")
    explore_it(chosen)
