package dev.lawow;

import java.net.ProtocolException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/** The mutable globals of a module and their values at the beginning, as far as these are constants in the module. */
final class InitialGlobals {
    /** Type and bits of a global, as a state has them. */
    static final int BYTES = 17;

    private static final int HEADER_BYTES = 8;
    private static final int GLOBALS = 6;
    private static final int END = 0x0b;
    private static final int LOW_BYTE = 0xff;

    private final ByteBuffer module;

    private InitialGlobals(byte[] wasm) {
        this.module = ByteBuffer.wrap(wasm).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Returns type and bits by index; null stands for a value that is no constant of a number.
     *
     * @throws ProtocolException the module imports globals, or is none
     */
    static Map<Long, byte[]> of(byte[] wasm) throws ProtocolException {
        try {
            return new InitialGlobals(wasm).read();
        } catch (BufferUnderflowException error) {
            throw new ProtocolException("the module ends too early");
        } catch (IllegalArgumentException error) {
            throw new ProtocolException("the module has a section that is none");
        }
    }

    private Map<Long, byte[]> read() throws ProtocolException {
        Map<Long, byte[]> found = new HashMap<>();
        module.position(HEADER_BYTES);
        while (module.hasRemaining()) {
            int section = module.get();
            long end = unsigned();
            end += module.position();
            if (section == GLOBALS) {
                long count = unsigned();
                for (long index = 0; index < count; index++) {
                    readOne(index, found);
                }
            }
            module.position((int) end);
        }
        return found;
    }

    private void readOne(long index, Map<Long, byte[]> found) throws ProtocolException {
        byte type = module.get();
        boolean isMutable = module.get() == 1;
        byte[] value = constant(type);
        if (isMutable) {
            found.put(index, value);
        }
    }

    /** Reads an expression of one constant. */
    private byte[] constant(byte type) throws ProtocolException {
        ByteBuffer value = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN).put(type);
        int operation = module.get() & LOW_BYTE;
        switch (operation) {
            case 0x41:
                value.putInt((int) signed());
                break;
            case 0x42:
                value.putLong(signed());
                break;
            case 0x43:
                value.putInt(module.getInt());
                break;
            case 0x44:
                value.putLong(module.getLong());
                break;
            default:
                throw new ProtocolException("a global of the module begins with something that is no number");
        }
        if ((module.get() & LOW_BYTE) != END) {
            throw new ProtocolException("a global of the module begins with something that is no number");
        }
        return value.array();
    }

    private long unsigned() {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            int next = module.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0 || shift >= 28) {
                return value;
            }
        }
    }

    private long signed() {
        long value = 0;
        for (int shift = 0; ; ) {
            int next = module.get();
            value |= (long) (next & 0x7f) << shift;
            shift += 7;
            if (next >= 0 || shift >= 70) {
                return (next & 0x40) != 0 && shift < 64 ? value | -1L << shift : value;
            }
        }
    }
}
