package dev.lawow;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;

/**
 * One call in an instance of this process. Strings and lists follow the component model's canonical ABI: the guest's
 * {@code cabi_realloc} gives the memory for arguments, a result is the address of its address and count, and {@code
 * cabi_post_NAME} is told when everything was read.
 */
final class GuestCall {
    private static final long LOW_HALF = 0xffffffffL;
    private static final int PAIR_ALIGNMENT = 4;
    private static final String OUT_OF_BOUNDS = "memory-out-of-bounds";

    private final String file;
    private final Guest guest;

    GuestCall(String file, Guest guest) {
        this.file = file;
        this.guest = guest;
    }

    /** Calls the export and returns what {@link Target#call} gives. The caller's arrays change at the very end. */
    Object run(String export, Arguments arguments) {
        Signature signature = arguments.signature;
        long[] addresses = new long[arguments.values.length];
        long[] core = lower(arguments, addresses);
        long[] bits = guest.call(export, signature.core(), core);
        byte[][] contents = new byte[addresses.length][];
        for (int at = 0; at < addresses.length; at++) {
            if (arguments.comesBack(at)) {
                contents[at] = read(export, addresses[at], arguments.payloads[at].length);
            }
        }
        Object[] results = new Object[bits.length];
        for (int at = 0; at < bits.length; at++) {
            ValueType type = signature.results[at];
            results[at] = type.isScalar() ? Signature.fromBits(type.letter, bits[at]) : lift(export, type, bits[at]);
        }
        for (int at = 0; at < addresses.length; at++) {
            if (arguments.comesBack(at)) {
                Elements.unpack(signature.parameters[at].letter, contents[at], 0, arguments.values[at]);
            }
        }
        return Signature.result(results);
    }

    /** Puts strings and lists into the guest's memory; returns the arguments of the export itself. */
    private long[] lower(Arguments arguments, long[] addresses) {
        ValueType[] types = arguments.signature.parameters;
        long[] core = new long[arguments.signature.core().indexOf('>')];
        int next = 0;
        for (int at = 0; at < types.length; at++) {
            if (types[at].isScalar()) {
                core[next++] = arguments.bits[at];
                continue;
            }
            int source = arguments.aliases[at] == Arguments.NO_ALIAS ? at : arguments.aliases[at];
            if (source == at) {
                addresses[at] = place(arguments.payloads[at], types[at].elementBytes());
            }
            core[next++] = addresses[source];
            core[next++] = arguments.count(source);
        }
        return core;
    }

    private long place(byte[] payload, int alignment) {
        long[] request = {0, 0, alignment, payload.length};
        long address = guest.call("cabi_realloc", "iiii>i", request)[0];
        if (address == 0 && payload.length > 0) {
            throw new Trap("out-of-memory", file + ": cabi_realloc has no " + payload.length + " bytes for an argument");
        }
        requireAligned("cabi_realloc", address, alignment);
        guest.write(file + ": cabi_realloc", address, payload);
        return address;
    }

    /** Reads the string or list whose address and count stand at {@code area}. */
    private Object lift(String export, ValueType type, long area) {
        requireAligned(export, area, PAIR_ALIGNMENT);
        ByteBuffer pair = ByteBuffer.wrap(read(export, area, 8)).order(ByteOrder.LITTLE_ENDIAN);
        long address = pair.getInt() & LOW_HALF;
        Object value = load(export, type, address, pair.getInt() & LOW_HALF);
        String post = "cabi_post_" + export;
        if (guest.has(post)) {
            guest.call(post, "i>", new long[] {area});
        }
        return value;
    }

    /** Copies a string or list of {@code count} bytes or elements; {@code export} begins the message of a trap. */
    Object load(String export, ValueType type, long address, long count) {
        requireAligned(export, address, type.elementBytes());
        byte[] payload = read(export, address, count * type.elementBytes());
        if (!type.isList()) {
            return text(export, payload);
        }
        Object array = Elements.make(type.letter, (int) count);
        Elements.unpack(type.letter, payload, 0, array);
        return array;
    }

    private void requireAligned(String export, long address, int alignment) {
        if (address % alignment != 0) {
            throw new Trap(OUT_OF_BOUNDS, file + ": " + export + " gave an address that is no multiple of " + alignment);
        }
    }

    private String text(String export, byte[] payload) {
        try {
            return Text.decode(payload, 0, payload.length);
        } catch (CharacterCodingException error) {
            throw new Trap("bad-result", file + ": " + export + ": the text is not UTF-8");
        }
    }

    /** Copies out of the guest's memory. Throws {@link Trap} beyond its end. */
    byte[] read(String export, long address, long bytes) {
        if (bytes > Integer.MAX_VALUE) {
            throw new Trap(OUT_OF_BOUNDS, file + ": " + export + ": a result of " + bytes + " bytes");
        }
        return guest.read(file + ": " + export, address, (int) bytes);
    }
}
