"""The filters of FFmpeg that make RGB of a file's decoded frames."""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice

import av.filter
import numpy as np
from av.error import BlockingIOError, EOFError
from av.video.frame import VideoFrame

from rfcodec.types import Frame
from rfcodec.video.colour import to_rgb
from rfcodec.video.orientation import Filters
from rfcodec.video.probe import Probe


def rgb_frames(found: Probe, size: tuple[int, int], start: int) -> Generator[Frame]:
    """Frames of (width, height) as they are shown, from number `start` on."""
    algorithm = "bicubic" if size == (found.format.width, found.format.height) else "lanczos"
    filters = [("scale", to_rgb(found.colour, size, algorithm)), ("format", "rgb24")]
    for frame in shown_frames(found, filters, start):
        yield frame.to_ndarray()


def shown_frames(found: Probe, filters: Filters, start: int) -> Generator[VideoFrame]:
    """Frames as they are shown, upright, from number `start` on, after further filters that give a frame for a frame."""
    first = start if found.begins is None else int(np.searchsorted(found.begins, start, side="right")) - 1
    lead = min(first, 1) if found.interlaced else 0  # a deinterlacer looks at the frame before
    decoded = islice(found.source.frames(), first - lead, None)
    pictures = islice(_filtered(decoded, [*_upright(found), *filters]), lead, None)
    if found.begins is None:
        yield from pictures
        return
    for picture, begin, end in zip(pictures, found.begins[first:], found.begins[first + 1 :], strict=False):
        for _ in range(max(begin, start), end):
            yield picture


def _upright(found: Probe) -> Filters:
    deinterlace = [("bwdif", "mode=send_frame:deint=interlaced")] if found.interlaced else []
    return [*deinterlace, *found.orientation.filters]


def _filtered(frames: Iterable[VideoFrame], filters: Filters) -> Generator[VideoFrame]:
    # PyAV itself, as imageio takes the first stream and makes no new graph where frames change their size
    graph, kind = None, None
    for frame in frames:
        if graph is None or kind != (frame.width, frame.height, frame.format.name):
            yield from _drained(graph)
            graph, kind = _graph(frame, filters), (frame.width, frame.height, frame.format.name)
        graph.push(frame)
        yield from _pulled(graph)
    yield from _drained(graph)


def _drained(graph: av.filter.Graph | None) -> Iterator[VideoFrame]:
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph)


def _graph(frame: VideoFrame, filters: Filters) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
