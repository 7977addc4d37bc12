"""`ByteReader` reads what is there and raises `FormatError` for everything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.bytes import (
    ByteReader,
    ByteWriter,
    align_up,
    encode_sleb128,
    encode_uleb128,
    padded_uleb128,
)

U32 = st.integers(0, 2**32 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)


@given(st.integers(0, 2**64), st.sampled_from([1, 2, 4, 16, 4096]))
def test_align_up_gives_the_next_multiple(value: int, alignment: int) -> None:
    aligned = align_up(value, alignment)
    assert aligned % alignment == 0
    assert value <= aligned < value + alignment


@given(U32)
def test_uleb128_comes_back(value: int) -> None:
    encoded = encode_uleb128(value)
    reader = ByteReader(encoded)
    assert reader.read_uleb128() == value
    assert reader.remaining == 0
    assert len(encoded) == max(1, (value.bit_length() + 6) // 7)


@given(I32)
def test_sleb128_comes_back(value: int) -> None:
    reader = ByteReader(encode_sleb128(value))
    assert reader.read_sleb128() == value
    assert reader.remaining == 0


@given(st.integers(-(2**63), 2**63 - 1))
def test_sleb128_of_64_bits_comes_back(value: int) -> None:
    assert ByteReader(encode_sleb128(value)).read_sleb128(64) == value


@given(U32, st.integers(5, 5))
def test_padded_uleb128_keeps_its_length_and_value(value: int, length: int) -> None:
    encoded = padded_uleb128(value, length)
    assert len(encoded) == length
    assert ByteReader(encoded).read_uleb128() == value


@pytest.mark.parametrize(("value", "length"), [(128, 1), (2**14, 2), (2**32, 4), (-1, 5), (1, 0)])
def test_padded_uleb128_refuses_what_does_not_fit(value: int, length: int) -> None:
    with pytest.raises(ValueError, match=r".+"):
        padded_uleb128(value, length)


def test_negative_numbers_have_no_unsigned_leb128() -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_uleb128(-200)


def test_minus_one_of_uleb128p1_is_none() -> None:
    reader = ByteReader(b"\x00\x01\x05")
    assert [reader.read_uleb128p1() for _ in range(3)] == [None, 0, 4]


@pytest.mark.parametrize(
    ("data", "bits"),
    [
        (b"\x80" * 5 + b"\x00", 32),  # too long
        (b"\xff\xff\xff\xff\x1f", 32),  # 33 bits
        (b"\x80" * 10 + b"\x00", 64),
        (b"\x80", 32),  # cut off
        (b"", 32),
        (b"\x80\x80\x00", 8),
    ],
)
def test_a_uleb128_that_is_too_long_or_too_large_is_refused(data: bytes, bits: int) -> None:
    with pytest.raises(FormatError):
        ByteReader(data).read_uleb128(bits)


@pytest.mark.parametrize(
    "data", [b"\x80" * 5 + b"\x00", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x70", b"\xff"]
)
def test_a_sleb128_that_is_too_long_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        ByteReader(data).read_sleb128()


def test_numbers_are_little_endian() -> None:
    reader = ByteReader(bytes(range(1, 16)))
    assert reader.read_u8() == 0x01
    assert reader.read_u16() == 0x0302
    assert reader.read_u32() == 0x07060504
    assert reader.read_u64() == 0x0F0E0D0C0B0A0908


def test_structs_bytes_and_skips_advance_the_offset() -> None:
    reader = ByteReader(b"abcdefgh", 1)
    assert reader.read_bytes(2) == b"bc"
    reader.skip(1)
    assert reader.read_struct(struct.Struct("<BB")) == (ord("e"), ord("f"))
    assert (reader.offset, reader.remaining) == (6, 2)


def test_align_skips_to_a_multiple_of_the_offset() -> None:
    reader = ByteReader(bytes(8), 1)
    reader.align(4)
    assert reader.offset == 4
    reader.align(4)
    assert reader.offset == 4
    with pytest.raises(FormatError):
        reader.align(16)


@pytest.mark.parametrize(
    "read", ["read_u8", "read_u16", "read_u32", "read_u64", "read_uleb128", "read_sleb128"]
)
def test_reading_past_the_end_of_the_range_is_refused_although_the_file_goes_on(read: str) -> None:
    reader = ByteReader(b"\x80" * 32, 8, 8, structure="header")
    with pytest.raises(FormatError, match="header"):
        getattr(reader, read)()


@pytest.mark.parametrize(("offset", "end"), [(-1, None), (5, None), (0, 5), (3, 2), (0, -1)])
def test_a_range_outside_of_the_file_is_refused(offset: int, end: int | None) -> None:
    with pytest.raises(FormatError, match="outside"):
        ByteReader(b"abcd", offset, end)


@pytest.mark.parametrize("offset", [-1, -4, -5, 5, 2**40])
def test_an_offset_that_was_set_outside_of_the_range_is_refused(offset: int) -> None:
    """Offsets come from the file: a negative one must not read from the end."""
    reader = ByteReader(b"abcd")
    reader.offset = offset
    for read in (reader.read_u8, reader.read_u32, lambda: reader.read_bytes(1), lambda: reader.skip(0)):
        with pytest.raises(FormatError):
            read()


@pytest.mark.parametrize("count", [-1, 5, 2**31, 2**64])
def test_a_count_that_is_negative_or_too_large_is_refused_before_anything_is_allocated(count: int) -> None:
    with pytest.raises(FormatError, match="ends too early"):
        ByteReader(b"abcd").read_bytes(count)


def test_an_error_names_structure_offset_in_the_whole_file_found_and_allowed() -> None:
    reader = ByteReader(b"abcd", 3, structure="string_ids", base=0x100)
    with pytest.raises(FormatError) as caught:
        reader.read_u32()
    assert (
        str(caught.value) == "string_ids: ends too early (found 1 bytes, allowed 4 or more, at offset 0x103)"
    )


@given(st.binary(max_size=40), st.data())
def test_no_sequence_of_reads_raises_anything_but_format_errors(data: bytes, draw: st.DataObject) -> None:
    reader = ByteReader(memoryview(data))
    reads = [reader.read_u8, reader.read_u16, reader.read_u32, reader.read_u64, reader.read_uleb128]
    reads += [
        reader.read_sleb128,
        lambda: reader.align(4),
        lambda: reader.read_bytes(3),
        reader.read_uleb128p1,
    ]
    for index in draw.draw(st.lists(st.integers(0, len(reads) - 1), max_size=12)):
        try:
            reads[index]()
        except FormatError:
            return


def test_the_writer_writes_what_the_reader_reads() -> None:
    writer = ByteWriter()
    writer.write_u8(1)
    writer.align(4)
    writer.write_u16(2)
    writer.write_u32(3)
    writer.write_u64(4)
    writer.write_uleb128(300)
    writer.write_sleb128(-5)
    writer.write_bytes(b"end")
    reader = ByteReader(bytes(writer.data))
    assert reader.read_u8() == 1
    reader.align(4)
    assert (reader.read_u16(), reader.read_u32(), reader.read_u64()) == (2, 3, 4)
    assert (reader.read_uleb128(), reader.read_sleb128(), reader.read_bytes(3)) == (300, -5, b"end")
    assert len(writer) == reader.offset


def test_a_value_that_does_not_fit_is_the_callers_defect() -> None:
    with pytest.raises(struct.error):
        ByteWriter().write_u16(1 << 16)
