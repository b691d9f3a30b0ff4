"""Samples of a model at temperature 1 (private loop; to be replaced by trainer.sampling)."""

from __future__ import annotations
from typing import Any
import zlib
import torch


@torch.no_grad()
def draw(model: Any, tokenizer: Any, prompts, *, key, limit, batch=256) -> list[str]:
    g = torch.Generator().manual_seed(zlib.crc32(repr(tuple(key)).encode()))
    assert not any(prompts)
    out = []
    for s in range(0, len(prompts), batch):
        n = min(batch, len(prompts) - s)
        x = torch.full((n, 1), tokenizer.bos_token_id)
        past = None
        rows = []
        alive = torch.ones(n, dtype=torch.bool)
        for _ in range(limit):
            o = model(input_ids=x, past_key_values=past, use_cache=True)
            past = o.past_key_values
            lg = o.logits[:, -1].float()
            lg[:, [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id]] = -1e9
            x = torch.multinomial(lg.softmax(-1), 1, generator=g)
            x[~alive] = tokenizer.eos_token_id
            rows.append(x)
            alive &= x[:, 0] != tokenizer.eos_token_id
            if not alive.any():
                break
        ids = torch.cat(rows, 1).tolist()
        out += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return out
