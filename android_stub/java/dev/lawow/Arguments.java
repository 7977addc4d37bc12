package dev.lawow;

import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;

/**
 * The arguments of one call, checked against a signature and copied, so that they cannot change on the way. An array
 * that stands in several places is one array for the guest, too.
 */
final class Arguments {
    /** A value of its own, not one that an earlier parameter has. */
    static final int NO_ALIAS = -1;

    private static final int SLOT_BYTES = 8;
    private static final int ALIAS = -1;
    private static final long MOST_BYTES = Integer.MAX_VALUE - 64;

    final Signature signature;
    final Object[] values;

    /** Bits of the numbers, by parameter; 0 for others. */
    final long[] bits;

    /** Contents of strings and lists, by parameter; null for numbers and aliases. */
    final byte[][] payloads;

    /** Which earlier parameter is the same array, or {@link #NO_ALIAS}. */
    final int[] aliases;

    /**
     * Checks and copies.
     *
     * @throws NullPointerException an argument is null
     * @throws IllegalArgumentException the arguments do not fit the signature, or are more than 2 GiB
     */
    Arguments(Signature signature, Object[] arguments) {
        this.signature = signature;
        this.values = arguments == null ? new Object[0] : arguments.clone();
        int count = signature.parameters.length;
        if (values.length != count) {
            throw new IllegalArgumentException(
                "signature " + signature + " takes " + count + " arguments, " + values.length + " were given");
        }
        this.bits = new long[count];
        this.payloads = new byte[count][];
        this.aliases = new int[count];
        for (int at = 0; at < count; at++) {
            aliases[at] = NO_ALIAS;
            take(at, signature.parameters[at]);
        }
        if (bodyBytes() > MOST_BYTES) {
            throw new IllegalArgumentException("the arguments are more than 2 GiB");
        }
    }

    private void take(int at, ValueType type) {
        Object value = values[at];
        if (type.isScalar()) {
            bits[at] = signature.toBits(type.letter, value, at);
        } else if (type.isList() && Elements.fits(type.letter, value)) {
            aliases[at] = earlier(at);
            payloads[at] = aliases[at] == NO_ALIAS ? packed(type, value) : null;
        } else if (type.form == ValueType.Form.STRING && value instanceof String) {
            payloads[at] = utf8(at, (String) value);
        } else {
            throw signature.misfit(at, value);
        }
    }

    /** A list that comes back cannot stand for one that does not. */
    private int earlier(int at) {
        boolean comesBack = signature.parameters[at].form == ValueType.Form.IN_OUT;
        for (int other = 0; other < at; other++) {
            boolean fits = !comesBack || signature.parameters[other].form == ValueType.Form.IN_OUT;
            if (fits && values[other] == values[at]) {
                return other;
            }
        }
        return NO_ALIAS;
    }

    private static byte[] packed(ValueType type, Object array) {
        long bytes = (long) Array.getLength(array) * type.elementBytes();
        if (bytes > MOST_BYTES) {
            throw new IllegalArgumentException("an array of " + bytes + " bytes; at most 2 GiB are possible");
        }
        return Elements.pack(type.letter, array, (int) bytes);
    }

    private byte[] utf8(int at, String text) {
        try {
            return Text.encode(text);
        } catch (CharacterCodingException error) {
            throw new IllegalArgumentException(
                "argument " + at + " of signature " + signature + " holds half of a surrogate pair, which UTF-8 lacks",
                error);
        }
    }

    /** Tells whether the contents of a parameter come back as a value of their own. */
    boolean comesBack(int at) {
        return signature.parameters[at].form == ValueType.Form.IN_OUT && aliases[at] == NO_ALIAS;
    }

    /** Returns how many elements, or bytes of a string, a payload has. */
    int count(int at) {
        return payloads[at].length / signature.parameters[at].elementBytes();
    }

    private long bodyBytes() {
        long sum = 0;
        for (byte[] payload : payloads) {
            sum += SLOT_BYTES + (payload == null ? 0 : padded(payload.length));
        }
        return sum;
    }

    /** Returns the size rounded up to whole slots of 8 bytes. */
    static long padded(long bytes) {
        return (bytes + SLOT_BYTES - 1) / SLOT_BYTES * SLOT_BYTES;
    }

    /** Lays the arguments out as {@code application/vnd.lawow.values}. */
    byte[] body() {
        ByteBuffer body = ByteBuffer.allocate((int) bodyBytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < values.length; at++) {
            if (signature.parameters[at].isScalar()) {
                body.putLong(bits[at]);
            } else if (aliases[at] != NO_ALIAS) {
                body.putInt(ALIAS).putInt(aliases[at]);
            } else {
                body.putInt(count(at)).putInt(0).put(payloads[at]);
                body.position((int) padded(body.position()));
            }
        }
        return body.array();
    }

    /** Gives the lists that come back what a body of this layout says they hold now. */
    void takeBack(byte[] body) {
        long at = 0;
        for (int index = 0; index < values.length; index++) {
            at += SLOT_BYTES;
            if (comesBack(index)) {
                Elements.unpack(signature.parameters[index].letter, body, (int) at, values[index]);
            }
            at += payloads[index] == null ? 0 : padded(payloads[index].length);
        }
    }
}
