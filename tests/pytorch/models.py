"""Small models of the usual kinds: name -> (what makes the model, what makes inputs of a batch of n in a dtype)."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """Embedding, causal attention, MLP, logits."""

    def __init__(self, width=64, heads=4, words=100):
        super().__init__()
        self.embedding, self.heads = nn.Embedding(words, width), heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.logits = nn.Linear(width, words)

    def forward(self, tokens):
        x = self.embedding(tokens)
        batch, length, width = x.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(attended.transpose(1, 2).reshape(batch, length, width))
        return self.logits(x + self.mlp(self.norm2(x)))


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.second, self.out = nn.Conv2d(16, 16, 3, padding=1, stride=2), nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        return self.out(F.avg_pool2d(F.relu(self.second(x)), 2).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(32, 64), nn.Linear(64, 5)

    def forward(self, x):
        h = torch.zeros(x.shape[0], 64, dtype=x.dtype)
        for step in range(x.shape[1]):
            h = self.cell(x[:, step], h)
        return self.out(h)


class Experts(nn.Module):
    """Two of four experts for each token."""

    def __init__(self, width=32, experts=4):
        super().__init__()
        self.gate = nn.Linear(width, experts)
        self.up = nn.Parameter(torch.randn(experts, width, 64) * 0.1)
        self.down = nn.Parameter(torch.randn(experts, 64, width) * 0.1)

    def forward(self, x):
        p = self.gate(x).softmax(-1)
        values, chosen = p.topk(2)
        weights = torch.zeros_like(p).scatter(-1, chosen, values)
        hidden = F.silu(torch.einsum("nd,edh->enh", x, self.up))
        return torch.einsum("enh,ehd,ne->nd", hidden, self.down, weights)


def mlp():
    return nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.LayerNorm(128), nn.Linear(128, 10))


MODELS = {
    "mlp": (mlp, lambda n, dtype: torch.randn(n, 64, dtype=dtype)),
    "transformer": (Block, lambda n, dtype: torch.randint(0, 100, (2, n))),
    "convolutions": (Convolutions, lambda n, dtype: torch.randn(n, 3, 16, 16, dtype=dtype)),
    "recurrent": (Recurrent, lambda n, dtype: torch.randn(n, 6, 32, dtype=dtype)),
    "experts": (Experts, lambda n, dtype: torch.randn(n, 32, dtype=dtype)),
}
