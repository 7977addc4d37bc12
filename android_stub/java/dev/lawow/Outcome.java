package dev.lawow;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a call gave, as bytes to compare: its results and the lists that came back, in the wire's form. Every NaN is the
 * same there: which of them arithmetic gives, neither Java nor WebAssembly says, and processors differ.
 */
final class Outcome {
    private static final List<String> LIMITS = Arrays.asList("interrupt", "out-of-fuel", "stack-overflow", "out-of-memory");

    /** Null for no value of the signature's types, or an exception. */
    private final byte[] bits;

    /** The trap's name; null for none, or if it says nothing, because here is no WebAssembly. */
    private final String trap;

    private Outcome(byte[] bits, String trap) {
        this.bits = bits;
        this.trap = trap;
    }

    /** {@code arguments} are as the call left them. */
    static Outcome of(Signature signature, Object result, Object[] arguments) {
        StringBuilder kinds = new StringBuilder();
        List<Object> values = new ArrayList<>();
        Object[] results = signature.results.length > 1 && result instanceof Object[]
            ? (Object[]) result : result == null ? new Object[0] : new Object[] {result};
        for (int at = 0; at < results.length && at < signature.results.length; at++) {
            kinds.append(kind(signature.results[at]));
        }
        values.addAll(Arrays.asList(results));
        for (int at = 0; at < signature.parameters.length; at++) {
            if (signature.parameters[at].form == ValueType.Form.IN_OUT) {
                kinds.append(kind(signature.parameters[at]));
                values.add(arguments[at]);
            }
        }
        boolean isWhole = results.length == signature.results.length;
        return new Outcome(isWhole ? pack(kinds + ">", values) : null, null);
    }

    /** Of a call that a trap ended; null if the trap says nothing of the call: limits differ from place to place. */
    static Outcome of(Trap trap) {
        return LIMITS.contains(trap.code()) ? null : new Outcome(null, trap.code());
    }

    /** Of a call of Java code that threw something, which corresponds to any trap. */
    static Outcome ofException() {
        return new Outcome(null, null);
    }

    /**
     * Returns in which way two outcomes of one call differ, and nothing of what the values are; null if they do not, or if
     * one of them says nothing, and so is null.
     */
    static String difference(Outcome here, Outcome there) {
        if (here == null || there == null) {
            return null;
        }
        if (here.bits == null && there.bits == null) {
            boolean same = here.trap == null || there.trap == null || here.trap.equals(there.trap);
            return same ? null : "trap " + here.trap + " here and trap " + there.trap + " on the edge";
        }
        if (here.bits == null || there.bits == null) {
            return word(here) + " here and " + word(there) + " on the edge";
        }
        int at = 0;
        while (at < here.bits.length && at < there.bits.length && here.bits[at] == there.bits[at]) {
            at++;
        }
        boolean same = at == here.bits.length && at == there.bits.length;
        return same ? null : "different results here and on the edge, from byte " + at + " on";
    }

    /** Returns the values with arrays copied, so that a second call does not change the first one's; alike ones stay so. */
    static Object[] copies(Object[] values) {
        if (values == null) {
            return null;
        }
        Map<Object, Object> copied = new IdentityHashMap<>();
        Object[] copies = values.clone();
        for (int at = 0; at < values.length; at++) {
            if (values[at] != null && values[at].getClass().isArray()) {
                if (!copied.containsKey(values[at])) {
                    copied.put(values[at], copy(values[at]));
                }
                copies[at] = copied.get(values[at]);
            }
        }
        return copies;
    }

    /** Puts what a call has made of its copies into the caller's own arrays. */
    static void takeOver(Object[] values, Object[] copies) {
        for (int at = 0; values != null && at < values.length; at++) {
            if (copies[at] != values[at]) {
                System.arraycopy(copies[at], 0, values[at], 0, Array.getLength(values[at]));
            }
        }
    }

    private static String word(Outcome outcome) {
        return outcome.bits == null ? "no result" : "a result";
    }

    private static String kind(ValueType type) {
        return type.isScalar() ? String.valueOf(type.letter) : type.isList() ? "[" + type.letter : "S";
    }

    private static byte[] pack(String signature, List<Object> values) {
        Object[] own = new Object[values.size()];
        for (int at = 0; at < own.length; at++) {
            own[at] = withOneNan(values.get(at)); // a copy of an array: none is the same as another one
        }
        try {
            return new Arguments(Signature.parse(signature), own).body();
        } catch (IllegalArgumentException error) {
            return null;
        } catch (NullPointerException error) {
            return null;
        }
    }

    private static Object withOneNan(Object value) {
        if (value instanceof Float) {
            return Float.intBitsToFloat(Float.floatToIntBits((Float) value));
        }
        if (value instanceof Double) {
            return Double.longBitsToDouble(Double.doubleToLongBits((Double) value));
        }
        boolean isArray = value != null && value.getClass().isArray();
        Object copy = isArray ? copy(value) : value;
        if (copy instanceof float[]) {
            float[] items = (float[]) copy;
            for (int at = 0; at < items.length; at++) {
                items[at] = Float.intBitsToFloat(Float.floatToIntBits(items[at]));
            }
        } else if (copy instanceof double[]) {
            double[] items = (double[]) copy;
            for (int at = 0; at < items.length; at++) {
                items[at] = Double.longBitsToDouble(Double.doubleToLongBits(items[at]));
            }
        }
        return copy;
    }

    private static Object copy(Object array) {
        int length = Array.getLength(array);
        Object copy = Array.newInstance(array.getClass().getComponentType(), length);
        System.arraycopy(array, 0, copy, 0, length);
        return copy;
    }
}
