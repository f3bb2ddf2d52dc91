"""Train DCGANs and explore what they have learned. Knows nothing of Streamlit or the browser."""
