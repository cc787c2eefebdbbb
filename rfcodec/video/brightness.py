"""Whether a source has a high dynamic range or a wide gamut, and how bright it is."""

from dataclasses import replace
from struct import unpack_from
from typing import final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from rfcodec.video.colour import to_rgb
from rfcodec.video.graph import filtered
from rfcodec.video.hdr import PQ_PEAK, Light, Transfer, light_shown

DEEP_RGB = "rgb48le"
_NARROW_ONE = 255 << 8  # what swscale makes of white of limited range, whatever its depth
# Numbers of ISO/IEC 23091-2.
_TRANSFERS: dict[int, Transfer] = {16: "PQ", 18: "HLG"}
_GAMUTS = {9: "BT.2020", 12: "P3"}

_SEEN = 128, 72  # width and height at which a frame is measured, at most
_SHARE = 99.9  # percent of pixels that are no brighter than the peak: the others may be ringing


def light_of(frame: VideoFrame) -> Light | None:
    """What the tags of a frame say; None for what is shown as it is, SDR of common primaries."""
    transfer: Transfer = _TRANSFERS.get(int(frame.color_trc), "SDR")
    # PQ and HLG are defined for BT.2020 alone
    gamut = _GAMUTS.get(int(frame.color_primaries), "" if transfer == "SDR" else "BT.2020")
    if not gamut:
        return None
    narrow = not frame.format.is_rgb and frame.color_range != ColorRange.JPEG
    return Light(transfer, gamut, one=_NARROW_ONE) if narrow else Light(transfer, gamut)


@final
class LightMeter:
    """Finds the light of a source and its peak; the brightest pixel that metadata say goes before what is seen.

    `wanted`: whether a source is to be looked at, else its light is None.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted, self._light = wanted, None
        self._said, self._bound, self._seen = 0.0, PQ_PEAK, 0.0

    def add(self, frame: VideoFrame, colour: str) -> None:
        """Looks at a frame; `colour` holds options of FFmpeg's scale filter."""
        self._light = self._light or (light_of(frame) if self._wanted else None)
        if self._light is None or self._light.transfer == "SDR":
            return
        said, bound = _metadata(frame)
        self._said, self._bound = max(self._said, said), min(self._bound, bound)
        if not self._said:
            size = min(frame.width, _SEEN[0]), min(frame.height, _SEEN[1])
            chain = [("scale", to_rgb(colour, size, "area")), ("format", DEEP_RGB)]
            brightest = light_shown(next(filtered([frame], chain)).to_ndarray(), self._light).max(axis=-1)
            self._seen = max(self._seen, float(np.percentile(brightest, _SHARE)))

    @property
    def light(self) -> Light | None:
        """The light of the source with the peak found so far; None for what is shown as it is."""
        if self._light is None or self._light.transfer == "SDR":
            return self._light
        return replace(self._light, peak=min(self._said or min(self._seen, self._bound), PQ_PEAK))


def _metadata(frame: VideoFrame) -> tuple[float, float]:
    """cd/m2 of the brightest pixel of the source (MaxCLL), 0 for unknown, and of the mastering display."""
    content, display = 0.0, PQ_PEAK
    if (data := frame.side_data.get("CONTENT_LIGHT_LEVEL")) is not None:
        content = float(unpack_from("=I", bytes(data))[0])
    if (data := frame.side_data.get("MASTERING_DISPLAY_METADATA")) is not None:
        # of FFmpeg's AVMasteringDisplayMetadata: most light as a fraction, whether primaries and light are told
        over, under, _, told = unpack_from("=4i", bytes(data), 72)
        display = over / under if told and over > 0 and under > 0 else display
    return content, display
