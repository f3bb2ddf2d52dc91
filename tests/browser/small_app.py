"""Streamlit's command with a default recipe with small networks, so training leaves cores for the browser, and that ends late.

python -m tests.browser.small_app run app.py
"""

from dataclasses import replace

from streamlit.web import cli

from gan.recipes import RECIPES

if __name__ == "__main__":
    recipe = RECIPES["quick-digits"]
    small = recipe.config.change(generator_filters=8, discriminator_filters=8, batch_size=16, duration=1_000_000)
    RECIPES[recipe.name] = replace(recipe, config=small)
    cli.main(prog_name="streamlit")
