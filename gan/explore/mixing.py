"""Style mixing: images whose coarse, middle or fine styles come from another latent vector (Karras et al. 2019, figure 3)."""

import torch


def mixed(columns: torch.Tensor, rows: torch.Tensor, first: int, last: int, count: int) -> torch.Tensor:
    """The styles of a table of images: from `first` up to but without `last` those of its row, the others those of its column.

    Args:
        columns: w of each column, (C, latent_dim).
        rows: w of each row, (R, latent_dim).
        first, last: which styles; see split_of_styles() in gan/networks/stylegan.py.
        count: how many styles an image has.

    Returns:
        (R, C, count, latent_dim).
    """
    number = torch.arange(count)
    of_row = (first <= number) & (number < last)
    return torch.where(of_row[:, None], rows[:, None, None], columns[None, :, None])
