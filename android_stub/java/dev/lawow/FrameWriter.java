package dev.lawow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** One frame on its way out; fields follow each other, little-endian. */
final class FrameWriter {
    /** Most payload of a frame without values. */
    static final int CONTROL_BYTES = 16 << 10;

    private static final int MOST_BLOB = 0xffff;
    private static final int U32_BYTES = 4;

    private final int operation;
    private ByteBuffer data = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);

    FrameWriter(long id, int operation) {
        this(id, operation, 0);
    }

    FrameWriter(long id, int operation, int flags) {
        this.operation = operation;
        data.putInt(0).putInt((int) id).putShort((short) operation).putShort((short) flags);
    }

    FrameWriter u8(int value) {
        room(1).put((byte) value);
        return this;
    }

    FrameWriter u16(int value) {
        room(2).putShort((short) value);
        return this;
    }

    FrameWriter u32(long value) {
        room(U32_BYTES).putInt((int) value);
        return this;
    }

    FrameWriter u64(long value) {
        room(2 * U32_BYTES).putLong(value);
        return this;
    }

    FrameWriter raw(byte[] value, int from, int count) {
        room(count).put(value, from, count);
        return this;
    }

    /** Bytes behind their length. Throws {@link IllegalArgumentException} beyond 65,535. */
    FrameWriter blob(byte[] value) {
        if (value.length > MOST_BLOB) {
            throw new IllegalArgumentException("a field of " + value.length + " bytes (allowed " + MOST_BLOB + ")");
        }
        return u16(value.length).raw(value, 0, value.length);
    }

    FrameWriter text(String value) {
        return blob(value.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns the frame. Throws {@link IllegalArgumentException} if it is too long for its operation. */
    byte[] finish() {
        byte[] frame = new byte[data.position()];
        data.putInt(0, frame.length - U32_BYTES);
        data.flip();
        data.get(frame);
        int payload = frame.length - Op.HEAD_BYTES;
        if (payload > CONTROL_BYTES && !Op.isBulk(operation)) {
            throw new IllegalArgumentException(
                Op.name(operation) + " of " + payload + " bytes (allowed " + CONTROL_BYTES + ")");
        }
        return frame;
    }

    private ByteBuffer room(int bytes) {
        if (data.remaining() < bytes) {
            int size = Math.max(2 * data.capacity(), data.position() + bytes);
            ByteBuffer larger = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
            data.flip();
            data = larger.put(data);
        }
        return data;
    }
}
