"""The filters of FFmpeg that make RGB of a file's decoded frames."""

from collections.abc import Generator, Iterable, Iterator

import av.filter
import numpy as np
from av.error import BlockingIOError, EOFError
from av.video.frame import VideoFrame

from rfcodec.types import Frame
from rfcodec.video.colour import to_rgb
from rfcodec.video.probe import Probe

Filters = list[tuple[str, str]]  # name and arguments


def to_frames(found: Probe, size: tuple[int, int], start: int) -> Filters:
    """The chain that makes RGB frames of (width, height) from frame `start` of the file on."""
    algorithm = "bicubic" if size == (found.format.width, found.format.height) else "lanczos"
    return [("trim", f"start_frame={start}"), ("scale", to_rgb(found.colour, size, algorithm)), ("format", "rgb24")]


def filtered(frames: Iterable[VideoFrame], filters: Filters) -> Generator[Frame]:
    """What a chain that ends in rgb24 makes of decoded frames."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        # the graph is made for the first frame, since a container may be wrong about size and layout of samples
        graph = graph or _graph(frame, filters)
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph)


def _graph(frame: VideoFrame, filters: Filters) -> av.filter.Graph:
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[np.ndarray]:
    while True:
        try:
            yield graph.vpull().to_ndarray()
        except (BlockingIOError, EOFError):
            return
