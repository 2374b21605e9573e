"""What is known of a series as a whole, as features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.models.forecasting.windows import Windows


class SeriesFeatures(nn.Module):
    """Its static numbers, and an embedding that is learnt with the network.

    Args:
        static: S, numbers of each series.
        groups: series that training knows; they are numbered from 1, and 0 stands for any other, whose embedding is 0.
        embedding_size: features of the embedding; none where it is 0.

    Attributes:
        size: F, features of a series.
    """

    def __init__(self, static: int, groups: int = 0, embedding_size: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(groups + 1, embedding_size, padding_idx=0) if embedding_size else None
        self.size = static + embedding_size
        if self.embedding is not None:
            nn.init.uniform_(self.embedding.weight[1:], -0.1, 0.1)
            nn.init.zeros_(self.embedding.weight[0])

    def forward(self, windows: Windows) -> Float[Tensor, "B F"]:
        """Of each row."""
        if self.embedding is None:
            return windows.static
        return torch.cat([windows.static, self.embedding(windows.group)], dim=1)
