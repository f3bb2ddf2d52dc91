"""Train DCGANs and explore what they learned. Knows nothing about Streamlit or the browser."""
