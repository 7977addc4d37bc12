package dev.lawow;

import java.lang.reflect.Array;

/** How much work a call announces and how many bytes it is about, as {@code lawow.device.tracing} counts in Python. */
final class CallSize {
    /** Above it, all numbers are the same size. */
    private static final double LARGEST = 1e15;

    private static final int NUMBER_BYTES = 8;

    final String export;

    /** Elements of lists and strings; of numbers alone the largest. */
    final double size;

    final long sentBytes;
    final long receivedBytes;

    /** Java code on the device may take and give other classes than the signature says: those count as nothing. */
    CallSize(String export, Signature signature, Object[] arguments, Object result) {
        double elements = 0;
        double largest = 0;
        long bytes = 0;
        int count = arguments == null ? 0 : Math.min(arguments.length, signature.parameters.length);
        for (int at = 0; at < count; at++) {
            elements += length(arguments[at]);
            if (arguments[at] instanceof Number) {
                largest = Math.max(largest, Math.min(Math.abs(((Number) arguments[at]).doubleValue()), LARGEST));
            }
            bytes += bytes(signature.parameters[at], arguments[at]);
        }
        this.export = export;
        this.size = elements > 0 ? elements : largest;
        this.sentBytes = bytes;
        this.receivedBytes = received(signature, result);
    }

    private static long received(Signature signature, Object result) {
        boolean isOne = signature.results.length == 1;
        return isOne ? bytes(signature.results[0], result) : NUMBER_BYTES * (long) signature.results.length;
    }

    private static long bytes(ValueType type, Object value) {
        return type.isScalar() ? NUMBER_BYTES : type.elementBytes() * (long) length(value);
    }

    private static int length(Object value) {
        boolean isArray = value != null && value.getClass().isArray();
        return value instanceof String ? ((String) value).length() : isArray ? Array.getLength(value) : 0;
    }
}
