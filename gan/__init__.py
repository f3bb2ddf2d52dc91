"""Train DCGANs and explore what they have learned. Knows nothing about Streamlit or the browser."""
