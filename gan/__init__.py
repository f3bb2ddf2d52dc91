"""Train DCGANs and explore what they have learnt. Knows nothing of Streamlit or the browser."""
