"""High dynamic range and wide gamut become SDR BT.709.

    R'G'B'  --EOTF-->  cd/m2  --tone curve-->  0..1, 1 is white  --primaries-->  BT.709  --BT.1886-->  R'G'B'

White is 203 cd/m2 (Report ITU-R BT.2408, 2.1), or the 100 cd/m2 of a display for SDR (BT.2035) where no part of the source
is brighter: video that was mapped from SDR by either convention comes back as it was.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

import numpy as np
from jaxtyping import Float, UInt16

from rfcodec.types import Frame

Values = Float[np.ndarray, "*s"]
Colours = Float[np.ndarray, "*s 3"]
Transfer = Literal["PQ", "HLG", "SDR"]
Codes = UInt16[np.ndarray, "*s 3"]  # 65535 is 1

WHITE, SDR_WHITE = 203.0, 100.0  # cd/m2
RINGING = 1.3  # a source of SDR_WHITE seems to have up to that much more, where coding and chroma of 4:2:0 blur edges
PQ_PEAK, HLG_PEAK = 10000.0, 1000.0
GAMMA = 2.4  # Rec. ITU-R BT.1886, black at 0
ONE = 65535
BAND = 32  # rows that are converted at a time: they stay in a processor's cache

# Rec. ITU-R BT.2100-3, tables 4 and 5; the system gamma is that of a display of 1000 cd/m2
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
SYSTEM_GAMMA = 1.2

# Chromaticities x y of R, G, B; all have the white D65. BT.2020 table 3, SMPTE EG 432-1, BT.709 table 1.
D65 = (0.3127, 0.3290)
PRIMARIES = {
    "BT.2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "BT.709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
}


@final
@dataclass(frozen=True, slots=True)
class Light:
    """What a source's code values mean: transfer, primaries, and the peak in cd/m2 that the tone curve ends with.

    `one` is the 16-bit code of 1.
    """

    transfer: Transfer
    gamut: str
    peak: float = WHITE
    one: int = ONE

    @property
    def white(self) -> float:
        """cd/m2 of what is shown as white where nothing is brighter."""
        return WHITE if self.peak > RINGING * SDR_WHITE else SDR_WHITE

    def __str__(self) -> str:
        if self.transfer == "SDR":
            return f"colours converted from {self.gamut} to BT.709"
        mapped = f"tone-mapped from {self.transfer} ({self.gamut}, peak {self.peak:.0f} cd/m2) to SDR BT.709"
        return f"{mapped}, white {self.white:.0f} cd/m2"


def pq_eotf(code: Values) -> Values:
    """cd/m2 of PQ: F = 10000 (max(E'^(1/m2) - c1, 0) / (c2 - c3 E'^(1/m2)))^(1/m1); SMPTE ST 2084, BT.2100 table 4."""
    root = code ** (1 / M2)
    return PQ_PEAK * (np.maximum(root - C1, 0) / (C2 - C3 * root)) ** (1 / M1)


def pq_inverse(light: Values) -> Values:
    """Code of PQ for cd/m2: E' = ((c1 + c2 Y^m1) / (1 + c3 Y^m1))^m2, Y = F / 10000; BT.2100 table 4."""
    power = (light / PQ_PEAK) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg_scene(code: Values) -> Values:
    """Scene light 0..1 of HLG: E = E'^2 / 3 up to E' = 1/2, else (exp((E' - c) / a) + b) / 12; BT.2100 table 5."""
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12)


def hlg_shown(scene: Colours) -> Colours:
    """cd/m2 of HLG: F = 1000 Ys^(1.2 - 1) E, Ys = 0.2627 R + 0.678 G + 0.0593 B; BT.2100 table 5 at 1000 cd/m2."""
    luminance = scene @ rgb_to_xyz("BT.2020")[1].astype(scene.dtype)
    return HLG_PEAK * luminance[..., None] ** (SYSTEM_GAMMA - 1) * scene


def tone_curve(light: Values, peak: float, white: float) -> Values:
    """cd/m2 to 0..1, 1 is `white`: linear where `peak` is no brighter, else Report ITU-R BT.2390-11, 5.4.1 (EETF).

    In PQ codes over that of the peak: E2 = P(E1) from KS = 1.5 maxLum - 0.5 on, a Hermite spline that ends in (1, maxLum).
    """
    if peak <= RINGING * white:
        return np.minimum(light / white, 1)
    top, most = pq_inverse(np.array([peak, white]))
    most /= top
    knee = 1.5 * most - 0.5
    code = np.minimum(pq_inverse(light) / top, 1)
    t = np.maximum((code - knee) / (1 - knee), 0)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_eotf(np.where(code < knee, code, spline) * top) / white


def rgb_to_xyz(gamut: str) -> Float[np.ndarray, "3 3"]:
    """The matrix of primaries and white D65 with Y = 1 for white; SMPTE RP 177."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*PRIMARIES[gamut], D65)]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def to_bt709(gamut: str) -> Float[np.ndarray, "3 3"]:
    """Linear RGB of a gamut to linear RGB of BT.709; for BT.2020 the inverse of Rec. ITU-R BT.2087's matrix."""
    return np.linalg.solve(rgb_to_xyz("BT.709"), rgb_to_xyz(gamut))


def light_shown(codes: Codes, light: Light) -> Colours:
    """cd/m2 of R, G and B; white of SDR is `WHITE`."""
    values = _decoded(light.transfer, light.one)[codes]
    return hlg_shown(values) if light.transfer == "HLG" else values


def to_sdr(codes: UInt16[np.ndarray, "y x 3"], light: Light) -> Frame:
    """A frame of the source as SDR BT.709 of 8 bits.

    The tone curve is that of the largest of R, G and B, and scales all three, which keeps hues. What lies outside BT.709 is
    clipped.
    """
    frame = np.empty(codes.shape, np.uint8)
    levels, ratios = _ratios(light)
    matrix = to_bt709(light.gamut).T.astype(np.float32)
    for top in range(0, len(codes), BAND):
        shown = light_shown(codes[top : top + BAND], light)
        largest = np.maximum(np.maximum(shown[..., 0], shown[..., 1]), shown[..., 2])
        shown *= np.interp(largest, levels, ratios).astype(np.float32)[..., None]
        linear = np.clip(shown @ matrix, 0, 1)
        frame[top : top + BAND] = np.float32(255) * linear ** np.float32(1 / GAMMA) + np.float32(0.5)
    return frame


@lru_cache
def _decoded(transfer: str, one: int) -> Float[np.ndarray, "65536"]:
    code = np.minimum(np.arange(ONE + 1) / one, 1)
    curve = {"PQ": pq_eotf, "HLG": hlg_scene, "SDR": lambda value: WHITE * value**GAMMA}[transfer]
    return curve(code).astype(np.float32)


@lru_cache
def _ratios(light: Light) -> tuple[Values, Values]:
    """What light of some cd/m2 is multiplied by, at levels that are equally spaced to the eye; black has no ratio."""
    levels = pq_eotf(np.linspace(0, 1, 1 << 14)[1:])
    return levels, tone_curve(levels, light.peak, light.white) / levels
