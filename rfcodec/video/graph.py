"""A chain of FFmpeg's filters that decoded frames run through."""

from collections.abc import Generator, Iterable, Iterator

import av.filter
from av.error import BlockingIOError, EOFError
from av.video.frame import VideoFrame

from rfcodec.video.orientation import Filters


def filtered(frames: Iterable[VideoFrame], filters: Filters) -> Generator[VideoFrame]:
    """What a chain that gives a frame for a frame makes of decoded frames.

    PyAV itself, as imageio takes the first stream and makes no new graph where frames change their size.
    """
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
