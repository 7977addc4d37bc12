"""Messages for a guest: what it takes and sends is that of the mailbox in place."""

from __future__ import annotations

from lawow.runtime.channel_functions import FUNCTIONS, Mailbox, mailbox_in_place
from lawow.runtime.grants import Grants
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance

GUEST = """(module
  (import "lawow:channel" "receive" (func $receive (param i32 i32) (result i32)))
  (import "lawow:channel" "room" (func $room (result i32)))
  (import "lawow:channel" "send" (func $send (param i32 i32) (result i32)))
  (import "lawow:channel" "publish" (func $publish (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "news")
  (func (export "receive") (param i32) (result i32) (call $receive (i32.const 16) (local.get 0)))
  (func (export "room") (result i32) (call $room))
  (func (export "send") (param i32) (result i32) (call $send (i32.const 16) (local.get 0)))
  (func (export "publish") (param i32) (result i32)
    (call $publish (i32.const 0) (i32.const 4) (i32.const 16) (local.get 0))))"""


def guest() -> WasmtimeInstance:
    """Return an instance whose exports are the host functions."""
    module = WasmtimeEngine(EDGE_PROFILE).compile(wat_to_wasm(GUEST.encode()))
    return module.instantiate(grants=Grants(functions=FUNCTIONS))


def mailbox(*arrived: bytes, room_bytes: int = 100, topic_bytes: int = 0) -> Mailbox:
    """Return a mailbox in which each message counts 16 bytes more."""
    return Mailbox(list(arrived), room_bytes, 16, lambda _: None, lambda _, size: size <= topic_bytes)


def test_without_a_mailbox_there_are_no_messages_and_no_room() -> None:
    instance = guest()
    assert instance.call("receive", (64,)) == (-1,)
    assert instance.call("room") == (-1,)
    assert instance.call("send", (8,)) == instance.call("publish", (8,)) == (0,)


def test_a_message_is_taken_by_a_buffer_that_holds_it_and_by_no_smaller_one() -> None:
    instance, box = guest(), mailbox(b"12345678", b"x" * 16)
    with mailbox_in_place(box):
        assert [instance.call("receive", (size,))[0] for size in (0, 7, 8, 8, 16, 16)] == [
            8,
            8,
            8,
            16,
            16,
            -1,
        ]
    assert box.taken == 2
    assert instance.read_memory(16, 16) == b"x" * 16


def test_what_is_sent_shrinks_the_room_and_what_has_none_is_not_sent() -> None:
    instance, box = guest(), mailbox(room_bytes=60)
    instance.write_memory(16, b"a" * 64)
    with mailbox_in_place(box):
        assert instance.call("room") == (44,)
        assert instance.call("send", (45,)) == (0,)
        assert instance.call("send", (20,)) == (1,)
        assert instance.call("room") == (8,)
        assert instance.call("send", (9,)) == (0,)
        assert instance.call("send", (8,)) == (1,)
        assert instance.call("room") == (-1,)
    assert box.sent == [b"a" * 20, b"a" * 8]


def test_a_topic_takes_what_it_has_room_for() -> None:
    instance, box = guest(), mailbox(topic_bytes=24)
    with mailbox_in_place(box):
        assert instance.call("publish", (9,)) == (0,)
        assert instance.call("publish", (8,)) == (1,)
    assert box.published == [("news", bytes(8))]
