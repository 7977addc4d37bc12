package dev.lawow;

import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Java arrays of numbers as packed little-endian bytes, the form in which guests and the edge hold them. */
final class Elements {
    private static final String LETTERS = "zbcsiIfF";

    private Elements() {}

    /** Tells whether {@code value} is an array of exactly the letter's Java type. */
    static boolean fits(char letter, Object value) {
        return value != null && value.getClass().isArray() && value.getClass().getComponentType() == typeOf(letter);
    }

    /** Returns a new array. */
    static Object make(char letter, int count) {
        return Array.newInstance(typeOf(letter), count);
    }

    private static Class<?> typeOf(char letter) {
        switch (letter) {
            case 'z':
                return boolean.class;
            case 'b':
                return byte.class;
            case 'c':
                return char.class;
            case 's':
                return short.class;
            case 'i':
                return int.class;
            case 'I':
                return long.class;
            case 'f':
                return float.class;
            default:
                return double.class;
        }
    }

    /** Returns the letter of arrays of a type, 0 for one that is no number's. */
    static char letterOf(Class<?> type) {
        for (char letter : LETTERS.toCharArray()) {
            if (type == typeOf(letter)) {
                return letter;
            }
        }
        return 0;
    }

    /** Returns the array's contents; {@code bytes} is their size. */
    static byte[] pack(char letter, Object array, int bytes) {
        ByteBuffer to = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        switch (letter) {
            case 'z':
                for (boolean value : (boolean[]) array) {
                    to.put((byte) (value ? 1 : 0));
                }
                break;
            case 'b':
                to.put((byte[]) array);
                break;
            case 'c':
                to.asCharBuffer().put((char[]) array);
                break;
            case 's':
                to.asShortBuffer().put((short[]) array);
                break;
            case 'i':
                to.asIntBuffer().put((int[]) array);
                break;
            case 'I':
                to.asLongBuffer().put((long[]) array);
                break;
            case 'f':
                to.asFloatBuffer().put((float[]) array);
                break;
            default:
                to.asDoubleBuffer().put((double[]) array);
        }
        return to.array();
    }

    /** Fills the array from the bytes at {@code from}, all of which must be there. Any byte but 0 is true. */
    static void unpack(char letter, byte[] bytes, int from, Object array) {
        ByteBuffer source = ByteBuffer.wrap(bytes, from, bytes.length - from).order(ByteOrder.LITTLE_ENDIAN);
        switch (letter) {
            case 'z':
                boolean[] flags = (boolean[]) array;
                for (int at = 0; at < flags.length; at++) {
                    flags[at] = bytes[from + at] != 0;
                }
                break;
            case 'b':
                source.get((byte[]) array);
                break;
            case 'c':
                source.asCharBuffer().get((char[]) array);
                break;
            case 's':
                source.asShortBuffer().get((short[]) array);
                break;
            case 'i':
                source.asIntBuffer().get((int[]) array);
                break;
            case 'I':
                source.asLongBuffer().get((long[]) array);
                break;
            case 'f':
                source.asFloatBuffer().get((float[]) array);
                break;
            default:
                source.asDoubleBuffer().get((double[]) array);
        }
    }
}
