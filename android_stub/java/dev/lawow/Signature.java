package dev.lawow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The core types of a function as letters, {@code "iI>F"}, and the one place that converts values by them. A value's
 * bits are 64 bits wide; i32 and f32 stand in the lower half, the upper half is zero.
 */
final class Signature {
    /** The web's embedding limit for parameters. */
    private static final int MAXIMUM_VALUES = 1000;

    private static final int VALUE_BYTES = 8;
    private static final long LOW_HALF = 0xffffffffL;

    private final String text;
    private final String parameters;
    private final String results;

    private Signature(String text, int arrow) {
        this.text = text;
        this.parameters = text.substring(0, arrow);
        this.results = text.substring(arrow + 1);
    }

    /** Parses the letters. Throws {@link IllegalArgumentException} for anything else. */
    static Signature parse(String text) {
        int arrow = text.indexOf('>');
        if (arrow < 0 || text.length() - 1 > 2 * MAXIMUM_VALUES) {
            throw new IllegalArgumentException("not a signature: " + text);
        }
        for (int at = 0; at < text.length(); at++) {
            if (at != arrow && "iIfF".indexOf(text.charAt(at)) < 0) {
                throw new IllegalArgumentException("not a signature: " + text);
            }
        }
        return new Signature(text, arrow);
    }

    int resultBytes() {
        return VALUE_BYTES * results.length();
    }

    /** Converts boxed arguments to their bits. Throws {@link IllegalArgumentException} if they do not fit. */
    long[] toBits(Object[] arguments) {
        int given = arguments == null ? 0 : arguments.length;
        if (given != parameters.length()) {
            throw new IllegalArgumentException(
                "signature " + text + " takes " + parameters.length() + " arguments, " + given + " were given");
        }
        long[] bits = new long[given];
        for (int at = 0; at < given; at++) {
            bits[at] = toBits(parameters.charAt(at), arguments[at], at);
        }
        return bits;
    }

    private long toBits(char letter, Object value, int at) {
        if (letter == 'i' && value instanceof Integer) {
            return (Integer) value & LOW_HALF;
        }
        if (letter == 'I' && value instanceof Long) {
            return (Long) value;
        }
        if (letter == 'f' && value instanceof Float) {
            return Float.floatToRawIntBits((Float) value) & LOW_HALF;
        }
        if (letter == 'F' && value instanceof Double) {
            return Double.doubleToRawLongBits((Double) value);
        }
        String found = value == null ? "null" : value.getClass().getSimpleName();
        throw new IllegalArgumentException("argument " + at + " of signature " + text + " cannot be " + found);
    }

    /** Converts bits to what {@link Target#call} returns. */
    Object fromBits(long[] bits) {
        if (bits.length != results.length()) {
            throw new IllegalArgumentException("signature " + text + " does not give " + bits.length + " results");
        }
        Object[] values = new Object[bits.length];
        for (int at = 0; at < bits.length; at++) {
            values[at] = fromBits(results.charAt(at), bits[at]);
        }
        return values.length == 0 ? null : values.length == 1 ? values[0] : values;
    }

    private static Object fromBits(char letter, long bits) {
        switch (letter) {
            case 'i':
                return (int) bits;
            case 'I':
                return bits;
            case 'f':
                return Float.intBitsToFloat((int) bits);
            default:
                return Double.longBitsToDouble(bits);
        }
    }

    /** Lays bits out as the edge wants them: 8 bytes each, little-endian. */
    static byte[] pack(long[] bits) {
        ByteBuffer buffer = ByteBuffer.allocate(VALUE_BYTES * bits.length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asLongBuffer().put(bits);
        return buffer.array();
    }

    /** Reads bits back; the length must be a multiple of 8. */
    static long[] unpack(byte[] packed) {
        long[] bits = new long[packed.length / VALUE_BYTES];
        ByteBuffer.wrap(packed).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().get(bits);
        return bits;
    }

    @Override
    public String toString() {
        return text;
    }
}
