"""The fastest public port of DALL·E mini, timed: min-dalle 0.4.11, in an environment of its own.

Runs outside of ours (``make bench`` installs ``peer-requirements.txt`` into ``.venv-peer``)
and takes one JSON object a line: ``{"side": 3, "steps": 24}`` draws a grid of 3 by 3. Its
code is not changed: only what it would download is replaced, by random numbers of the true
sizes and a stand-in for its tokenizer.

A step takes equally long at every position, since it always attends to all 256 places, so
``steps`` of them are timed and the median counts 256 times; ``steps`` of 256 times them all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from typing import Any

TOKEN_COUNT = 256


class _EnoughError(Exception):
    """So many steps were to be timed."""


class _Tokenizer:
    """A prompt of 16 tokens."""

    def tokenize(self, text: str, is_verbose: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - its signature
        del text, is_verbose
        return [0, *range(100, 114), 2]


def build(model: str, device: str) -> Any:
    """The peer with random numbers."""
    import torch  # noqa: PLC0415 - there is none in our own environment
    from min_dalle.min_dalle import MinDalle  # noqa: PLC0415
    from min_dalle.models import (  # noqa: PLC0415
        DalleBartDecoder,
        DalleBartEncoder,
        VQGanDetokenizer,
    )

    class Peer(MinDalle):
        def init_tokenizer(self) -> None:
            self.tokenizer = _Tokenizer()

        def init_encoder(self) -> None:
            self.encoder = self._on_device(
                DalleBartEncoder(
                    text_token_count=self.text_token_count,
                    text_vocab_count=self.text_vocab_count,
                    **self._sizes(),
                )
            )

        def init_decoder(self) -> None:
            self.decoder = self._on_device(
                DalleBartDecoder(image_vocab_count=self.image_vocab_count, **self._sizes())
            )

        def init_detokenizer(self) -> None:
            self.detokenizer = VQGanDetokenizer().eval().to(self.device)

        def _sizes(self) -> dict[str, Any]:
            return {
                "attention_head_count": self.attention_head_count,
                "embed_count": self.embed_count,
                "glu_embed_count": self.glu_embed_count,
                "layer_count": self.layer_count,
                "device": self.device,
            }

        def _on_device(self, module: Any) -> Any:
            return module.to(self.dtype).eval().to(self.device)

    dtype = torch.float32 if device == "cpu" else torch.float16
    return Peer(is_mega=model == "mega", device=device, dtype=dtype, is_verbose=False)


class Timed:
    """The peer, with a clock around each step and around the way from tokens to pixels."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._sample = peer.decoder.sample_tokens
        self._steps: list[float] = []
        self._wanted = TOKEN_COUNT
        peer.decoder.sample_tokens = self._timed_sample

    def draw(self, side: int, steps: int) -> dict[str, float]:
        """Seconds of one grid: encoder, all steps, pixels, and their sum."""
        import torch  # noqa: PLC0415

        self._steps, self._wanted = [], steps
        begun_s = time.perf_counter()
        with contextlib.suppress(_EnoughError):
            self._peer.generate_images("x", seed=1, grid_size=side)
        encoder_s = time.perf_counter() - begun_s - sum(self._steps)
        tokens = torch.randint(0, 2**14, (side * side, TOKEN_COUNT), device=self._peer.device)
        begun_s = time.perf_counter()
        self._peer.detokenizer.forward(False, tokens).cpu()  # noqa: FBT003 - its signature
        pixels_s = time.perf_counter() - begun_s
        steps_s = TOKEN_COUNT * statistics.median(self._steps)
        return {
            "encoder_s": encoder_s,
            "steps_s": steps_s,
            "pixels_s": pixels_s,
            "whole_s": encoder_s + steps_s + pixels_s,
        }

    def _timed_sample(self, *args: Any, **kwargs: Any) -> Any:
        if len(self._steps) == self._wanted:
            raise _EnoughError
        begun_s = time.perf_counter()
        result = self._sample(*args, **kwargs)
        result[0].cpu()  # waits for the device
        self._steps.append(time.perf_counter() - begun_s)
        return result


def main() -> None:
    """Draw what standard input asks for until it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="mini")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    timed = Timed(build(options.model, options.device))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed.draw(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
