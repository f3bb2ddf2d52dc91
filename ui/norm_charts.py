"""Norms over time as figures, and the same in words."""

import plotly.graph_objects as go

from gan.inside.norms import Norms, is_main_parameter, parameter_title
from ui.charts import shade

NAMES = {"generator": "Generator", "discriminator": "Discriminator"}
KINDS = {"weights": "weights", "gradients": "gradients"}
MOST_LINES = 40
HUES = {"generator": (0.36, 0.72), "discriminator": (-0.08, 0.16)}  # around the networks' colors in the theme: teal and orange


def shown(norms: Norms, network: str, kind: str, everything: bool) -> dict[str, list[float | None]]:
    """The lines of one chart by their titles, in the order of the way through the network, which is the order of the file."""
    columns = getattr(norms, kind)[network]
    names = [name for name in columns if everything or is_main_parameter(name)][:MOST_LINES]
    return {parameter_title(name): columns[name] for name in names}


def norm_chart(norms: Norms, network: str, kind: str, everything: bool = False) -> go.Figure:
    """One network's norms of weights or of gradients, a line a layer, on a logarithmic axis.

    Args:
        network: "generator" or "discriminator".
        kind: "weights" or "gradients".
        everything: biases and normalizations, too.
    """
    figure = go.Figure()
    lines = shown(norms, network, kind, everything)
    for i, (title, values) in enumerate(lines.items()):
        # One range of colors around the network's own, from one end of the network to the other: neighbors are alike.
        first, last = HUES[network]
        color = shade((first + (last - first) * i / max(1, len(lines) - 1)) % 1)
        figure.add_scatter(x=norms.steps, y=values, name=title, mode="lines", line={"color": color, "width": 2}, hovertemplate="%{y:.3g}")
    figure.update_layout(
        title={"text": f"{NAMES[network]}: {KINDS[kind]}", "font": {"size": 14}, "x": 0, "xref": "paper"},
        xaxis={"title": {"text": "Step"}, "rangemode": "tozero"},
        yaxis={"type": "log", "title": {"text": "L2 norm"}, "exponentformat": "power"},
        hovermode="x unified",
        height=380,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0},
        showlegend=True,
    )
    return figure


def norm_words(norms: Norms, network: str, kind: str, everything: bool = False) -> str:
    """A chart in words, for people who cannot see it: where each line starts and ends."""
    said = []
    for title, values in shown(norms, network, kind, everything).items():
        known = [value for value in values if value is not None]
        if known:
            said.append(f"{title} {known[0]:.3g} to {known[-1]:.3g}")
    first, last = norms.steps[0], norms.steps[-1]
    return f"{NAMES[network]}, norms of the {KINDS[kind]} from step {first:,} to step {last:,}: {'; '.join(said) or 'none'}."
