"""Best path through a shift register whose branches are labelled with signed circular shifts (docs/maths.md, section 5).

state s = h 2^q + p --input u--> u S/2^q + h,   label (u, p, h) -> position of one of the 2n signed shifts
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

STRIDES = (17, 19)  # positions between the windows that neighbouring branches read
CHUNK_STAGES = 128  # extended at a time, which bounds the memory
WINDOW_STAGES = 128
OVERLAP_STAGES = 96  # after so many stages the start state hardly matters: at most 0.1 % of the score (docs/adr/0009)


@final
@dataclass(frozen=True)
class Register:
    """S >= 2^q states (a power of two), 2^q branches a state, n >= 2^(2q - 1) shifts a stage.

    Signed shift k < 2n is shift k mod n, negated for k >= n. Runs of w = `run` states with consecutive h read
    consecutive shifts: branch (u, p, h) has k = ((h // w) 4^q + p 2^q + u) `stride` + h mod w, modulo 2n.
    """

    states: int
    branch_bits: int
    length: int

    @property
    def branches(self) -> int:
        """2^q branches from each state."""
        return 1 << self.branch_bits

    @property
    def heads(self) -> int:
        """Number of values of h: S / 2^q."""
        return self.states >> self.branch_bits

    @property
    def run(self) -> int:
        """The largest power of two that neither the heads nor the signed shifts exceed."""
        return min(self.heads, 1 << ((2 * self.length).bit_length() - 1))

    @property
    def stride(self) -> int:
        """17, or 19 where n is a multiple of 17: two windows must not be the same modulo 2n."""
        return STRIDES[self.length % STRIDES[0] == 0]

    @property
    def reach(self) -> int:
        """Number of positions that branches read, before these are taken modulo 2n."""
        return (self.heads // self.run * self.branches**2 - 1) * self.stride + self.run

    def signed_shift(self, state: int, label: int) -> int:
        """Label of the branch that `label` takes from `state`, 0 <= k < 2n."""
        head, low = state >> self.branch_bits, state & (self.branches - 1)
        window = head // self.run * self.branches**2 + low * self.branches + label
        return (window * self.stride + head % self.run) % (2 * self.length)

    def next_state(self, state: int, label: int) -> int:
        """The state after `label`: label S / 2^q + h."""
        return label * self.heads + (state >> self.branch_bits)

    def walk(self, labels: UInt8[np.ndarray, "l"]) -> list[int]:
        """Signed shifts along the path from state 0."""
        shifts, state = [], 0
        for label in labels.tolist():
            shifts.append(self.signed_shift(state, label))
            state = self.next_state(state, label)
        return shifts


def extend(scores: Float32[np.ndarray, "l n"], reach: int) -> Float32[np.ndarray, "l reach"]:
    """Scores of the signed shifts 0, 1, ... reach - 1, counted modulo 2n."""
    signed = np.concatenate([scores, -scores], axis=1)
    return np.ascontiguousarray(np.tile(signed, (1, -(-reach // signed.shape[1])))[:, :reach])


def best_path(scores: Float32[np.ndarray, "l n"], register: Register) -> UInt8[np.ndarray, "l"]:
    """Labels of the path from state 0 with the largest sum of scores; ties go to the smallest predecessor.

    O(l S 2^q) additions and comparisons, in 4 l S bytes.
    """
    b, heads, run = register.branches, register.heads, register.run
    best = np.full(register.states, -np.inf, np.float32)
    best[0] = 0
    reached = np.empty((len(scores), register.states), np.float32)
    by_low = np.empty((b, heads // run, run), np.float32)
    metric = np.empty((b, b, heads // run, run), np.float32)  # u, p, h // run, h % run
    for start in range(0, len(scores), CHUNK_STAGES):
        chunk = extend(scores[start : start + CHUNK_STAGES], register.reach)
        steps = (chunk.strides[0], *(4 * register.stride * jump for jump in (1, b, b * b)), 4)
        for stage, labels in enumerate(as_strided(chunk, (len(chunk), *metric.shape), steps), start):
            reached[stage] = best
            np.copyto(by_low.reshape(b, heads), best.reshape(heads, b).T)
            np.add(labels, by_low, out=metric)
            best = best.reshape(b, heads // run, run)
            np.maximum(metric[:, 0], metric[:, 1], out=best)
            for low in range(2, b):
                np.maximum(best, metric[:, low], out=best)
            best = best.reshape(-1)
    return _trace_back(scores, reached, int(best.argmax()), register)


def _trace_back(scores: np.ndarray, reached: np.ndarray, state: int, register: Register) -> UInt8[np.ndarray, "l"]:
    labels, b = np.empty(len(scores), np.uint8), register.branches
    for stage in range(len(scores) - 1, -1, -1):
        labels[stage], head = divmod(state, register.heads)
        first, jump = register.signed_shift(head << register.branch_bits, int(labels[stage])), b * register.stride
        shifts = [(first + low * jump) % (2 * register.length) for low in range(b)]
        row, values = scores[stage], reached[stage, head * b : head * b + b].tolist()
        sums = [value + _signed(row, k) for value, k in zip(values, shifts, strict=True)]
        state = head * b + sums.index(max(sums))
    return labels


def _signed(row: np.ndarray, k: int) -> float:
    return float(row[k]) if k < len(row) else -float(row[k - len(row)])


def best_path_in_windows(
    scores: Float32[Tensor, "l n"], register: Register, window: int = WINDOW_STAGES, overlap: int = OVERLAP_STAGES
) -> UInt8[np.ndarray, "l"]:
    """`best_path` on any device, window + overlap stages deep instead of l: windows of stages run side by side.

    Each begins `overlap` stages early with all states at score 0, which hardly changes the path in its own stages.
    """
    stages = len(scores)
    overlap = overlap if stages > window else 0
    lead = torch.arange(0, stages, window, device=scores.device) - overlap
    came_from, best = _forward(scores, register, lead, min(window, stages) + overlap)
    own = came_from[overlap:].transpose(0, 1).reshape(-1, register.states)[:stages].cpu().numpy()
    return _follow(own, int(best[-1].argmax()), register)


def _forward(scores: Tensor, register: Register, lead: Tensor, span: int) -> tuple[Tensor, Tensor]:
    b, heads, run, count = register.branches, register.heads, register.run, len(lead)
    signed = torch.cat([scores, -scores], dim=1)
    extended = signed.repeat(1, -(-register.reach // signed.shape[1]))[:, : register.reach].contiguous()
    best = scores.new_zeros(count, register.states)
    came_from = torch.empty(span, count, register.states, dtype=torch.uint8, device=scores.device)
    steps = (register.reach, *(register.stride * jump for jump in (1, b, b * b)), 1)
    for row in range(span):
        stage = lead + row
        best[stage == 0, 0], best[stage == 0, 1:] = 0, -torch.inf
        labels = extended[stage.clamp(0, len(scores) - 1)].as_strided((count, b, b, heads // run, run), steps)
        by_low = best.view(count, heads, b).transpose(1, 2).reshape(count, 1, b, heads // run, run)
        metric, low = (labels + by_low).max(2)
        within = (stage < len(scores))[:, None]
        best = torch.where(within, metric.view(count, -1), best)
        came_from[row] = low.view(count, -1)
    return came_from, best


def _follow(came_from: UInt8[np.ndarray, "l s"], state: int, register: Register) -> UInt8[np.ndarray, "l"]:
    labels = np.empty(len(came_from), np.uint8)
    for stage in range(len(came_from) - 1, -1, -1):
        labels[stage], head = divmod(state, register.heads)
        state = head << register.branch_bits | int(came_from[stage, state])
    return labels
