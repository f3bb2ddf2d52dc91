"""CycleGAN's buffer of earlier images. Knows nothing about losses."""

import torch


class ImageBuffer:
    """Earlier outputs of generators, which the discriminators see again (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4).

    Once the buffer is full, half of the images are swapped at random with earlier ones. Everything stays on the device and has a fixed
    shape, so a CUDA graph can record it.

    Attributes:
        images: (kinds, size, C, H, W).
        filled: how many of them are images, for each kind: float (kinds,).
    """

    def __init__(self, kinds: int, size: int, shape: tuple[int, int, int], device: torch.device) -> None:
        self.images = torch.zeros(kinds, size, *shape, device=device)
        self.filled = torch.zeros(kinds, device=device)

    @torch.no_grad()
    def swap(self, kind: int, images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """New images (N, C, H, W) -> the images to show: new or earlier ones. Remembers new ones."""
        stored, filled = self.images[kind], self.filled[kind]
        size = len(stored)
        if not size:
            return images
        drawn = torch.rand(2, len(images), device=images.device, generator=rng)
        shown = []
        for i in range(len(images)):
            image, full = images[i : i + 1].float(), filled >= size
            slot = torch.where(full, (drawn[0, i] * size).long().clamp(max=size - 1), filled.long()).view(1)
            earlier = stored.index_select(0, slot)
            again = full & (drawn[1, i] < 0.5)  # show the earlier one
            kept = again | ~full  # remember the new one
            stored.index_copy_(0, slot, torch.where(kept, image, earlier))
            shown.append(torch.where(again, earlier, image))
            filled += (~full).float()
        return torch.cat(shown).to(images.dtype)
