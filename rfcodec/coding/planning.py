"""Encoder only: the split of the bytes of each GOP, and its time grid."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE, closing_bytes
from rfcodec.bitstream.headers import GopHeader
from rfcodec.bitstream.records import largest_payload, unit_size
from rfcodec.coding.engine import Engine
from rfcodec.coding.information import PILOT_LOG_SNR, probe, stored_profile
from rfcodec.coding.regions import region_weights
from rfcodec.config import DEFAULT_BPP, EncoderConfig
from rfcodec.errors import BudgetTooSmall, FrameSizeError
from rfcodec.flow.time_grid import information_levels, tail_levels, within_range
from rfcodec.protocols import Latents, Shape
from rfcodec.trajectory.noise import Emphasis
from rfcodec.trajectory.rate import GopBudget, RatePlan, announced_bits, file_budget, split_bits
from rfcodec.types import GopSpan, InformationProfile
from rfcodec.video.reader import Video

log = logging.getLogger(__name__)

SIDE_INFO_FRAMING = 16  # bytes that side information takes beside its references, rounded up


def whole_budget(engine: Engine, effort: EncoderConfig) -> int:
    """Bytes of the whole file: those that are given, else the only rate of the method, else DEFAULT_BPP."""
    given = file_budget(effort, engine.header.format)
    if given is not None:
        return given
    only = native_budget(engine, list(engine.spans()), effort)
    if only is not None:
        log.info("budget: %d bytes (the only rate of these settings)", only)
        return only
    log.info("budget: %g bits a pixel (default; --bpp, --kbps or --bytes set it)", DEFAULT_BPP)
    default = file_budget(effort.model_copy(update={"bpp": DEFAULT_BPP}), engine.header.format)
    return default or 0


def plan_rate(engine: Engine, budget: int, effort: EncoderConfig) -> RatePlan:
    """Bytes of each GOP, so that the finished file is at most the budget."""
    spans = list(engine.spans())
    rough = RatePlan.make(spans, budget, effort)
    return RatePlan.make(spans, budget - overhead(engine, [gop.total for gop in rough.budgets]), effort)


def native_budget(engine: Engine, spans: list[GopSpan], effort: EncoderConfig) -> int | None:
    """The bytes of a method with one rate only, such as a fixed number of atoms; None for all others."""
    shares = RatePlan.make(spans, 0, effort).budgets
    needed = []
    for span, budget in zip(spans, shares, strict=True):
        shape = engine.shape(span.num_frames)
        bits = engine.codebook.least_bits(shape)
        if bits != engine.codebook.usable_bits(shape, 1 << 40):
            return None
        header = GopHeader(span.index, bits * engine.header.trajectory.coded_steps, (), bytes(effort.digest_bytes))
        size = unit_size(len(fields.write(header))) + unit_size(-(-header.symbol_bits // 8)) + SIDE_INFO_FRAMING
        needed.append(math.ceil(size / float(1 - budget.reference_share) / float(budget.share)))
    return max(needed) + overhead(engine, [max(needed)] * len(spans))


def overhead(engine: Engine, gop_bytes: Sequence[int] = ()) -> int:
    """Bytes of the file that belong to no GOP: preamble, sequence header, index and end mark for GOPs of those sizes."""
    return len(PREAMBLE) + unit_size(len(fields.write(engine.header))) + closing_bytes(gop_bytes)


def measure_profile(engine: Engine, condition: Any, target: Latents, effort: EncoderConfig) -> InformationProfile:
    """mmse(t): measured on the target by a pilot pass or, with profile = "backbone", the backbone's own.

    That is what `calibrate` has measured on this machine, else a closed form or a table that the backbone has; where there
    is neither, the pilot pass measures it.
    """
    known = None
    if effort.profile == "backbone":
        known = stored_profile(engine.header) or engine.backbone.profile(condition)
        if known is None:
            name = engine.header.backbone
            log.warning("nothing is known of %s: each GOP is measured; `rfcodec calibrate` measures once", name)
    return known or probe(engine, condition, target, PILOT_LOG_SNR)


@dataclass(frozen=True)
class GopFacts:
    """The input of a GOP's plan: its coded side information, the shape c f h w that is coded, its information profile."""

    span: GopSpan
    budget: GopBudget
    side_info: bytes
    shape: Shape
    profile: InformationProfile


def plan_gop(engine: Engine, facts: GopFacts, effort: EncoderConfig) -> GopHeader:
    """Header of a GOP whose side information is coded: its grid, and all bytes that are left for symbols.

    Raises BudgetTooSmall, FrameSizeError.
    """
    span, budget, side_info, shape = facts.span, facts.budget, facts.side_info, facts.shape
    spent = unit_size(len(side_info)) if side_info else 0
    spent += unit_size(budget.correction) if budget.correction else 0
    header = GopHeader(span.index, max(8 * (budget.total - spent), 0), (), bytes(effort.digest_bytes))
    header = replace(header, levels=choose_levels(engine, shape, header.symbol_bits, facts.profile, effort))
    spent += unit_size(len(fields.write(header)))
    steps = engine.coded_steps
    room = announced_bits(engine.codebook, shape, max(8 * largest_payload(budget.total - spent), 0), steps)
    least = engine.codebook.least_bits(shape)
    if engine.codebook.usable_bits(shape, 1 << 40) < least:
        raise FrameSizeError(f"a GOP of {shape} latents (c f h w) is too small for this codebook: use larger frames")
    if min(split_bits(engine.codebook, shape, room, steps)) < least:
        needed = spent + unit_size(-(-least * steps.count // 8)) + 1
        raise BudgetTooSmall(_too_small(engine, span, needed, len(side_info), effort))
    log.debug("GOP %d: %d bytes, %d bits in %d steps, grid %s", span.index, budget.total, room, steps.count, header.levels)
    return replace(header, symbol_bits=room)


def choose_levels(
    engine: Engine, shape: Shape, bits: int, profile: InformationProfile, effort: EncoderConfig
) -> tuple[int, ...]:
    """The grid on which every bit carries the same information, then the ODE tail; empty where `shift` sets the grid."""
    if engine.header.trajectory.shift:
        return ()
    efficiency = effort.efficiency or engine.codebook.efficiency
    widths = split_bits(engine.codebook, shape, bits, engine.coded_steps)
    nats_per_bit = effort.information_share * efficiency * math.log(2) / math.prod(shape)
    coded = information_levels(profile, [nats_per_bit * width for width in widths])
    tail = tail_levels(coded[-1], effort.tail_end or engine.backbone.tail_end, engine.header.trajectory.ode_tail)
    return within_range(coded + tail)


def choice_emphasis(engine: Engine, span: GopSpan, shape: Shape, effort: EncoderConfig, mask: Video | None) -> Emphasis:
    """Weights of the choice: of the region of a mask, of the carried frames, and of bands by their power."""
    weights = torch.ones(1, shape[1], 1, 1)
    if mask is not None:
        # latent frames that the condition gives are not coded
        weights = region_weights(engine, mask, span, effort.roi_gain)[:, -shape[1] :]
    if span.carried:
        weights[:, -span.carried :] *= effort.carried_weight
    return Emphasis(weights, effort.spectral_emphasis)


def _too_small(engine: Engine, span: GopSpan, needed: int, side_bytes: int, effort: EncoderConfig) -> str:
    total = needed
    while not _suffices(engine, span, needed, side_bytes, (total, effort)):
        total += max(1, total // 500)
    bpp = math.ceil(total * 8e6 / engine.header.format.pixels) / 1e6
    return (
        f"the budget is too small for what must be sent: the smallest possible is about {total} bytes ({bpp:g} bpp); "
        "raise it, use fewer steps or longer GOPs, or a mode with less side information"
    )


def _suffices(engine: Engine, span: GopSpan, needed: int, side_bytes: int, trial: tuple[int, EncoderConfig]) -> bool:
    # whether each GOP gets what this one needs, its references growing with the budget up to their share
    total, effort = trial
    per_reference = side_bytes / span.references if span.references else 0.0
    spans = list(engine.spans())
    rough = RatePlan.make(spans, total, effort)
    plan = RatePlan.make(spans, total - overhead(engine, [gop.total for gop in rough.budgets]), effort)
    margin = 6  # of varints that grow with what they count
    return all(
        budget.total
        >= needed - side_bytes + margin + max(other.references * per_reference, budget.references) + budget.correction
        for other, budget in zip(spans, plan.budgets, strict=True)
    )
