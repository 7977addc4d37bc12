package dev.lawow;

import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;

/** One frame that has come, and the reader of its payload. What is wrong is a {@link ProtocolException}, always. */
final class Frame {
    private static final long LOW_HALF = 0xffffffffL;
    private static final int LOW_SHORT = 0xffff;
    private static final int MOST_CODE = 64;

    final long id;
    final int operation;
    final int flags;
    private final ByteBuffer payload;

    /** {@code payload} begins at the frame's first field. */
    Frame(long id, int operation, int flags, byte[] payload) {
        this.id = id;
        this.operation = operation;
        this.flags = flags;
        this.payload = ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN);
    }

    boolean isPart() {
        return (flags & Op.PART) != 0;
    }

    /** Returns what no field has taken yet, in bytes. */
    int remaining() {
        return payload.remaining();
    }

    int u16() throws ProtocolException {
        return require(2).getShort() & LOW_SHORT;
    }

    long u32() throws ProtocolException {
        return require(4).getInt() & LOW_HALF;
    }

    int i32() throws ProtocolException {
        return require(4).getInt();
    }

    /** Returns a u64; beyond 2^63 - 1, where no count of messages ever gets, it is an error. */
    long u64() throws ProtocolException {
        long value = require(8).getLong();
        if (value < 0) {
            throw wrong("a number beyond 2^63");
        }
        return value;
    }

    /** Steps over a u64 of any value and returns its bits. */
    long bits() throws ProtocolException {
        return require(8).getLong();
    }

    byte[] blob() throws ProtocolException {
        return take(u16());
    }

    String text() throws ProtocolException {
        byte[] bytes = blob();
        try {
            return Text.decode(bytes, 0, bytes.length);
        } catch (CharacterCodingException error) {
            throw wrong("text that is not UTF-8");
        }
    }

    /** Returns kebab-case of at most 64 characters, or an empty text. */
    String code() throws ProtocolException {
        String code = text();
        boolean fits = code.length() <= MOST_CODE;
        for (int at = 0; at < code.length(); at++) {
            char letter = code.charAt(at);
            boolean isLetter = letter >= 'a' && letter <= 'z';
            fits &= isLetter || at > 0 && (letter >= '0' && letter <= '9' || letter == '-');
        }
        if (!fits) {
            throw wrong("a code that is none");
        }
        return code;
    }

    String[] texts() throws ProtocolException {
        int count = u16();
        require(2L * count); // each has its length, so nothing is made for a count that only claims
        String[] texts = new String[count];
        for (int at = 0; at < count; at++) {
            texts[at] = text();
        }
        return texts;
    }

    /** Returns all that is left. */
    byte[] rest() {
        byte[] bytes = new byte[payload.remaining()];
        payload.get(bytes);
        return bytes;
    }

    /** Throws unless every byte was read. */
    void end() throws ProtocolException {
        if (payload.hasRemaining()) {
            throw wrong(payload.remaining() + " bytes behind the end");
        }
    }

    ProtocolException wrong(String found) {
        return new ProtocolException(Op.name(operation) + " for id " + id + ": " + found);
    }

    private byte[] take(int count) throws ProtocolException {
        require(count);
        byte[] bytes = new byte[count];
        payload.get(bytes);
        return bytes;
    }

    private ByteBuffer require(long bytes) throws ProtocolException {
        if (payload.remaining() < bytes) {
            throw wrong("ends too early");
        }
        return payload;
    }
}
