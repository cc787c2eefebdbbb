"""Information profiles: measured on a GOP, or once for a backbone and kept on this machine."""

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from rfcodec.bitstream.headers import SequenceHeader
from rfcodec.coding.engine import Engine
from rfcodec.errors import OutputError
from rfcodec.flow.path import amplitude_snr, time_of_snr
from rfcodec.protocols import Latents
from rfcodec.support.cache import cache_folder
from rfcodec.support.files import replacing
from rfcodec.trajectory.noise import ProbeStep
from rfcodec.types import InformationProfile

PILOT_LOG_SNR = (-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0)  # every evaluation counts
FINE_LOG_SNR = tuple(k / 2 for k in range(-13, 7))


def probe(engine: Engine, condition: object, target: Latents, log_snr: Sequence[float]) -> InformationProfile:
    """mmse(t) on one GOP: a pass over its true trajectory, one model evaluation a point and one at t = 1."""
    noise = engine.codebook.noise(engine.start_address(0), tuple(target.shape), 0, 0).to(target.device)
    step = ProbeStep(target, noise, [time_of_snr(math.exp(u)) for u in log_snr])
    engine.backbone.run(condition, step)
    return step.profile()


def mean_profile(profiles: Sequence[InformationProfile]) -> InformationProfile:
    """The mean error at each time of profiles over the same times: it gives the mean information."""
    return InformationProfile(profiles[0].log_snr, tuple(np.mean([p.mmse for p in profiles], axis=0).tolist()))


def information(profile: InformationProfile) -> list[float]:
    """Bits a dimension from t = 1 to each time of the table: 1/2 integral of mmse dA^2, over ln 2."""
    powers = [0.0, *(amplitude_snr(time_of_snr(math.exp(u))) ** 2 for u in profile.log_snr)]
    # of each interval the error at its beginning, as an equal-information grid counts it
    errors = [profile.mmse[0], *profile.mmse[:-1]]
    bits = np.cumsum(np.diff(powers) * errors) / (2 * math.log(2))
    return bits.tolist()


def profile_file(header: SequenceHeader) -> Path:
    """Where the profile of a stream's backbone is kept: one for each model, its options and mode."""
    named = f"{header.weights.hex()} {header.backbone_options} {header.mode}"
    return cache_folder() / "profiles" / f"{hashlib.blake2s(named.encode(), digest_size=12).hexdigest()}.json"


def stored_profile(header: SequenceHeader) -> InformationProfile | None:
    """The profile that `calibrate` has left; None if there is none, with a warning where it is damaged."""
    file = profile_file(header)
    if not file.is_file():
        return None
    try:
        table = json.loads(file.read_text())
        profile = InformationProfile(tuple(map(float, table["log_snr"])), tuple(map(float, table["mmse"])))
        _check(profile)
        return profile
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{file} cannot be read ({error}): calibrate again, or remove it", stacklevel=2)
        return None


def _check(profile: InformationProfile) -> None:
    if not profile.log_snr or len(profile.log_snr) != len(profile.mmse):
        raise ValueError("its columns do not match")
    if any(b <= a for a, b in pairwise(profile.log_snr)) or not all(0 < mmse < math.inf for mmse in profile.mmse):
        raise ValueError("its values are no profile")


def store_profile(header: SequenceHeader, profile: InformationProfile, gops: int) -> Path:
    """Keeps a profile for `profile=backbone`; raises OutputError."""
    file = profile_file(header)
    table = {"backbone": header.backbone, "gops": gops, "log_snr": profile.log_snr, "mmse": profile.mmse}
    try:
        with replacing(file, parents=True) as part:
            part.write_text(json.dumps(table) + "\n")
    except OutputError as error:
        raise OutputError(f"{file} cannot be written ({error}): set RFCODEC_CACHE to a folder that can") from error
    return file
