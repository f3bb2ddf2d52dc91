"""Train DCGANs and explore what they learned. Knows nothing about Streamlit or the browser."""

__version__ = "0.5.0"  # the newest dated version in CHANGELOG.md
