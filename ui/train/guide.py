"""A first run, led: a few steps over the charts that say what to look at. It can be skipped, and called again."""

GUIDE = "guide"  # in the address: 1 shows the steps
