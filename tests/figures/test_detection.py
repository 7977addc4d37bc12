"""The detector finds what is on sites that it was not trained on, the same here and on another host."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lawow.device.channel_host import ChannelHost
from lawow.device.data_session import DataSession
from lawow.device.elastic_channel import ElasticChannel
from lawow.errors import LawowError
from lawow.figures.detection import WORDS, Detector, detector_files, packed, read_detections, serve_detection
from lawow.figures.scene import MARGIN, VIEW, Item, Site, make_site

TOKEN = b"token"
UNSEEN = range(1000, 1006)
"""Seeds; the model was trained on 0 to 23."""


@pytest.fixture
def detector() -> Iterator[Detector]:
    made = Detector(*detector_files())
    yield made
    made.close()


def wholly_in_view(site: Site) -> list[Item]:
    return [
        item
        for item in site.items
        if MARGIN <= item.x < VIEW[0] - MARGIN and MARGIN <= item.y < VIEW[1] - MARGIN
    ]


def test_nine_of_ten_items_are_found_where_they_are_and_hardly_anything_else(detector: Detector) -> None:
    there = hits = others = 0
    for seed in UNSEEN:
        site = make_site(960, 720, 30, seed)
        found = read_detections(detector.find(site.view(0, 0)))
        for item in wholly_in_view(site):
            there += 1
            hits += any(
                d.kind == item.kind and abs(d.x - item.x) < 9 and abs(d.y - item.y) < 9 for d in found
            )
        near = [i for i in site.items if i.x < VIEW[0] + MARGIN and i.y < VIEW[1] + MARGIN]
        others += sum(not any(abs(d.x - i.x) < 20 and abs(d.y - i.y) < 20 for i in near) for d in found)
    assert there > 15
    assert hits >= 0.9 * there
    assert others <= 0.1 * there


def test_a_detector_that_looks_at_many_pictures_does_not_grow(detector: Detector) -> None:
    pictures = [make_site(960, 720, 30, seed).view(0, 0) for seed in UNSEEN]
    before = detector.memory_bytes
    for number in range(40):
        detector.find(pictures[number % len(pictures)])
    assert detector.memory_bytes == before


def test_pictures_of_another_size_are_refused(detector: Detector) -> None:
    assert detector.find(bytes(VIEW[0] * VIEW[1] - 1)) == []


def test_a_model_that_is_none_is_an_error_here() -> None:
    with pytest.raises(LawowError, match="inference failed with code"):
        Detector(detector_files()[0], b"no model")


@pytest.mark.parametrize("numbers", [[0, 1, 1, 900], [4, 1, 1, 900]])
def test_kinds_that_do_not_exist_are_refused(numbers: list[int]) -> None:
    with pytest.raises(LawowError, match="there are 1 to 3"):
        read_detections(numbers)


@pytest.mark.parametrize(
    ("sizes", "content"),
    [((1 << 40, 0), b""), ((4, 4), b"12345678")],
    ids=["larger than a module may be", "not what the digest says"],
)
def test_a_host_ends_the_channel_of_a_module_that_lies(sizes: tuple[int, int], content: bytes) -> None:
    host = ChannelHost("edge", TOKEN)
    serve_detection(host)
    raised = threading.Event()
    hook, threading.excepthook = threading.excepthook, lambda _: raised.set()  # why it ends
    try:
        with DataSession(host.connect, TOKEN) as session:
            channel = ElasticChannel("module", WORDS, {"edge": session}, "edge")
            channel.send(packed(bytes(32) + b"".join(size.to_bytes(8, "little") for size in sizes)))
            if content:
                assert channel.receive(timeout_seconds=10) == [len(content)]
                channel.send(packed(content))
            with pytest.raises(LawowError):
                channel.receive(timeout_seconds=10)
        assert raised.wait(10)  # the channel is closed a moment earlier
    finally:
        threading.excepthook = hook
        host.close()
