"""Step caches of diffusers on a fixed schedule: what they skip depends on the step alone, never on the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.machine import DTYPES, models_of
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.untyped import Pipeline
from rfcodec.errors import ConfigError

# the patterns that diffusers has by default match nothing in Wan, LTX and Mochi, without a word
ATTENTION = [r".*blocks\.\d+\.attn\d?"]


@contextmanager
def cached(pipe: Pipeline, options: DiffusersOptions, evaluations: int) -> Iterator[None]:
    """Within it, the transformers use the cache of the options, fresh. Raises ConfigError where they cannot."""
    if options.cache == "none":
        yield
        return
    models = models_of(pipe)
    try:
        for model in models:
            model.enable_cache(_config(options, evaluations))
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"backbone_options.cache is {options.cache}: {error}") from error
    try:
        yield
    finally:
        for model in models:
            model.disable_cache()


def _config(options: DiffusersOptions, evaluations: int) -> Any:
    if options.cache == "taylorseer":
        return diffusers.TaylorSeerCacheConfig(
            cache_interval=options.cache_interval,
            disable_cache_before_step=options.cache_warmup,
            taylor_factors_dtype=DTYPES[options.dtype],
            cache_identifiers=ATTENTION,
        )
    if not options.mag_ratios:
        raise ConfigError("cache is magcache, but backbone_options.mag_ratios is empty: it needs the ratios of the model")
    return diffusers.MagCacheConfig(
        num_inference_steps=evaluations,
        retention_ratio=min(options.cache_warmup / evaluations, 1.0),
        mag_ratios=[float(ratio) for ratio in options.mag_ratios.split(",")],
    )
