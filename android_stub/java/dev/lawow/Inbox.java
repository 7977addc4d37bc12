package dev.lawow;

import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Bytes in, frames out, however they are cut. A frame is refused by its head, before anything of its size is kept, and
 * memory grows with the bytes that came.
 */
final class Inbox {
    private static final int START_BYTES = 4 << 10;
    private static final int SHRINK_BYTES = 64 << 10;
    private static final long LOW_HALF = 0xffffffffL;
    private static final int LOW_SHORT = 0xffff;

    private int frameBytes;
    private byte[] data = new byte[START_BYTES];
    private int from;
    private int end;

    /** {@code frameBytes}: most payload of a frame with values. */
    Inbox(int frameBytes) {
        this.frameBytes = frameBytes;
    }

    /** Tells whether the last byte received was the last of a frame. */
    boolean isEmpty() {
        return from == end;
    }

    /** From the next frame on, payloads may be as large as that. */
    void allow(int largest) {
        frameBytes = largest;
    }

    /** Takes the first {@code count} bytes. */
    void add(byte[] bytes, int count) {
        if (from == end) {
            from = end = 0;
            data = data.length > SHRINK_BYTES ? new byte[START_BYTES] : data;
        }
        if (data.length - end < count) {
            int kept = end - from;
            byte[] target = data.length / 2 >= kept + count ? data : new byte[Math.max(2 * data.length, kept + count)];
            System.arraycopy(data, from, target, 0, kept);
            data = target;
            from = 0;
            end = kept;
        }
        System.arraycopy(bytes, 0, data, end, count);
        end += count;
    }

    /** Returns the next frame, or null if it is not complete. Throws for a head that no frame has. */
    Frame next() throws ProtocolException {
        if (end - from < Op.HEAD_BYTES) {
            return null;
        }
        ByteBuffer head = ByteBuffer.wrap(data, from, Op.HEAD_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        long size = (head.getInt() & LOW_HALF) - Op.COUNTED_BYTES;
        long id = head.getInt() & LOW_HALF;
        int operation = head.getShort() & LOW_SHORT;
        int flags = head.getShort() & LOW_SHORT;
        int most = Op.isBulk(operation) ? frameBytes : FrameWriter.CONTROL_BYTES;
        if (size < 0 || size > most) {
            throw new ProtocolException(
                "a frame of operation " + operation + " with a payload of " + size + " bytes (allowed 0 to " + most + ")");
        }
        if (end - from - Op.HEAD_BYTES < size) {
            return null;
        }
        byte[] payload = new byte[(int) size];
        System.arraycopy(data, from + Op.HEAD_BYTES, payload, 0, payload.length);
        from += Op.HEAD_BYTES + payload.length;
        return new Frame(id, operation, flags, payload);
    }
}
