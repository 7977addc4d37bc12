package dev.lawow;

import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;

/**
 * The edge's answer to a call: {@code application/vnd.lawow.values}, results first, then what the arrays hold now. It is
 * checked as a whole before anything reaches the caller's arrays.
 */
final class Response {
    private static final int SLOT_BYTES = 8;
    private static final int HALF_BITS = 32;
    private static final long LOW_HALF = 0xffffffffL;

    private final Arguments arguments;
    private final byte[] body;
    private final ByteBuffer reader;
    private final Object[] results;
    private final int[] contents;

    /** Checks the answer. Throws {@link ProtocolException} if it is not one to these arguments. */
    Response(Arguments arguments, byte[] body) throws ProtocolException {
        this.arguments = arguments;
        this.body = body;
        this.reader = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        this.results = new Object[arguments.signature.results.length];
        this.contents = new int[arguments.values.length];
        for (int at = 0; at < results.length; at++) {
            results[at] = value(arguments.signature.results[at]);
        }
        for (int at = 0; at < contents.length; at++) {
            if (arguments.comesBack(at)) {
                contents[at] = block(arguments.signature.parameters[at], arguments.count(at));
            }
        }
        if (reader.hasRemaining()) {
            throw wrong("more than " + reader.position());
        }
    }

    /** Returns the longest answer to these arguments; a string or list as the result may have {@code most} bytes. */
    static int mostBytes(Arguments arguments, int most) {
        long sum = 0;
        for (ValueType type : arguments.signature.results) {
            sum += SLOT_BYTES + (type.isScalar() ? 0 : Arguments.padded(most));
        }
        for (int at = 0; at < arguments.values.length; at++) {
            sum += arguments.comesBack(at) ? SLOT_BYTES + Arguments.padded(arguments.payloads[at].length) : 0;
        }
        return (int) Math.min(sum, Integer.MAX_VALUE);
    }

    /** Puts the contents back into the caller's arrays and returns the result. */
    Object deliver() {
        for (int at = 0; at < contents.length; at++) {
            if (arguments.comesBack(at)) {
                Elements.unpack(arguments.signature.parameters[at].letter, body, contents[at], arguments.values[at]);
            }
        }
        return Signature.result(results);
    }

    private Object value(ValueType type) throws ProtocolException {
        if (type.isScalar()) {
            return number(type.letter);
        }
        require(SLOT_BYTES);
        long count = reader.getInt(reader.position()) & LOW_HALF;
        int from = block(type, count);
        if (type.isList()) {
            Object array = Elements.make(type.letter, (int) count);
            Elements.unpack(type.letter, body, from, array);
            return array;
        }
        try {
            return Text.decode(body, from, (int) count);
        } catch (CharacterCodingException error) {
            throw new ProtocolException("answers with a string that is not UTF-8");
        }
    }

    private Object number(char letter) throws ProtocolException {
        require(SLOT_BYTES);
        long bits = reader.getLong();
        if ((letter == 'i' || letter == 'f') && bits >>> HALF_BITS != 0) {
            throw new ProtocolException("answers with a 32-bit number whose upper half is not zero");
        }
        return Signature.fromBits(letter, bits);
    }

    /** Steps over count, zero, elements and padding; returns where the elements begin. */
    private int block(ValueType type, long wanted) throws ProtocolException {
        require(SLOT_BYTES);
        long count = reader.getInt() & LOW_HALF;
        int zero = reader.getInt();
        if (count != wanted || zero != 0) {
            throw new ProtocolException("answers with " + count + " elements where " + wanted + " belong");
        }
        long bytes = count * type.elementBytes();
        long padded = Arguments.padded(bytes);
        require(padded);
        int from = reader.position();
        requireClean(from + (int) bytes, from + (int) padded, 0);
        if (type.letter == 'z') {
            requireClean(from, from + (int) bytes, 1);
        }
        reader.position(from + (int) padded);
        return from;
    }

    private void requireClean(int from, int end, int most) throws ProtocolException {
        for (int at = from; at < end; at++) {
            if (body[at] < 0 || body[at] > most) {
                throw new ProtocolException("answers with " + body[at] + " where at most " + most + " may stand");
            }
        }
    }

    private void require(long bytes) throws ProtocolException {
        if (reader.remaining() < bytes) {
            throw wrong(body.length + "");
        }
    }

    private ProtocolException wrong(String found) {
        return new ProtocolException(
            "answers with " + found + " bytes, which are not the results of signature " + arguments.signature);
    }
}
