"""Names of sources, and what the released models are.

A source is named by one word or address and becomes a list of ``RemoteFile``: what to
fetch, how large it is, what its checksum must be, and how to read it from any place on. A
checkpoint of your own in a folder needs none of this: the settings name it as it is.

===============================  ==========================================================
``mini``, ``mega``               the released models, VQGAN and CLIP, from the hub
``wandb:ENTITY/PROJECT/NAME:V``  DalleBart from a W&B artifact, VQGAN and CLIP from the hub
``gs://…``, ``s3://…``           a bucket's folder (any fsspec address): a whole checkpoint
                                 (`engine/weights.py`), or DalleBart's files alone
===============================  ==========================================================

What the released files are pinned by: VQGAN and CLIP by the commits of their repositories;
mini by the checksums of all its files; the word list by its checksum; mega's weights by the
first eight digits of their checksum, because no more was known where this was written. The
rest of mega is what the branch ``main`` holds on the first download, whose checksums are
then recorded beside it. The hub announces a checksum for every file, and so every file is
verified against that as well.
"""

from __future__ import annotations

from typing import Final

from engine.sources.artifacts import wandb_files
from engine.sources.buckets import bucket_files
from engine.sources.files import FILES, MODEL_FILE, WORDS_FILE, FetchError, RemoteFile
from engine.sources.hub import HubPart, hub_files

# Source of the commits: dalle-mini 0.1.5, `inference_pipeline.ipynb` (VQGAN); the hub's own
# history, as other projects quote it (CLIP). Source of the checksums: the hub's listings.
_VQGAN: Final = HubPart(
    folder="vqgan",
    repo="dalle-mini/vqgan_imagenet_f16_16384",
    revision="e93a26e7707683d349bf5d5c41c5b0ef69b677a9",
    files=FILES["vqgan"],
)
_CLIP: Final = HubPart(
    folder="clip",
    repo="openai/clip-vit-base-patch32",
    revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
    files=FILES["clip"],
)
# The original takes the word list from mini's repository whatever the model.
_WORDS: Final = HubPart(
    folder="dalle_bart",
    repo="dalle-mini/dalle-mini",
    revision="main",
    files=(WORDS_FILE,),
    sha256={WORDS_FILE: "26bc86b265dacb1f3974fc5aec5fd2523319a2a5207c6ff5c3c602a0f146574b"},
)
_MINI: Final = HubPart(
    folder="dalle_bart",
    repo="dalle-mini/dalle-mini",
    revision="main",
    files=("config.json", MODEL_FILE, "tokenizer.json"),
    sha256={
        "config.json": "203a49dc01d45ec1f1313d5e55ce5fcd268a39bcfad0bf159f1ca0ddb98168ad",
        MODEL_FILE: "df70127fbf804aaec7b9eeb54bc123283405ea74e5047bede4986638a384951a",
        "tokenizer.json": "3a6dc33f32240a78dfadcecae4dca845b5c6151c5f0598b5d181bb2f72e670ef",
    },
)
_MEGA: Final = HubPart(
    folder="dalle_bart",
    repo="dalle-mini/dalle-mega",
    revision="main",
    files=("config.json", MODEL_FILE, "tokenizer.json"),
    sha256={MODEL_FILE: "35a6c84b"},
)

RELEASED: Final = {
    "mini": (_MINI, _WORDS, _VQGAN, _CLIP),
    "mega": (_MEGA, _WORDS, _VQGAN, _CLIP),
}


def find_files(source: str, *, endpoint: str | None = None) -> list[RemoteFile]:
    """List what a source holds.

    Args:
        source: See above.
        endpoint: Address of the hub, by default the public one or ``HF_ENDPOINT``.

    Raises:
        FetchError: It cannot be listed.
    """
    if source in RELEASED:
        return [file for part in RELEASED[source] for file in hub_files(part, endpoint=endpoint)]
    if source.startswith("wandb:"):
        files = wandb_files(source.removeprefix("wandb:"))
    elif "://" in source:
        files = bucket_files(source)
    else:
        raise FetchError(
            f"{source} is no source: it must be mini, mega, wandb:ENTITY/PROJECT/NAME:VERSION, "
            "gs://BUCKET/FOLDER or s3://BUCKET/FOLDER."
        )
    return _completed(source, files, endpoint)


def _completed(source: str, files: list[RemoteFile], endpoint: str | None) -> list[RemoteFile]:
    """Add VQGAN and CLIP to a DalleBart that comes alone."""
    folders = {file.name.split("/")[0] for file in files}
    if folders == {"dalle_bart"}:
        return files + [f for part in (_VQGAN, _CLIP) for f in hub_files(part, endpoint=endpoint)]
    if folders != FILES.keys():
        missing = ", ".join(sorted(FILES.keys() - folders))
        raise FetchError(f"{source} is no checkpoint: it holds nothing for {missing}.")
    return files
