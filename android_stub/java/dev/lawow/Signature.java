package dev.lawow;

/**
 * The types of a function as text, {@code "iI>F"}, and the one place that converts numbers by them. A number's bits are
 * 64 bits wide; i32 and f32 stand in the lower half, the upper half is zero. The grammar stands in {@link Target#call}.
 */
final class Signature {
    /** The web's embedding limit for parameters. */
    private static final int MAXIMUM_VALUES = 1000;

    private static final long LOW_HALF = 0xffffffffL;

    final ValueType[] parameters;
    final ValueType[] results;
    private final String text;

    private Signature(String text, ValueType[] parameters, ValueType[] results) {
        this.text = text;
        this.parameters = parameters;
        this.results = results;
    }

    /** Parses the text. Throws {@link IllegalArgumentException} for anything that is no signature. */
    static Signature parse(String text) {
        int arrow = text.indexOf('>');
        boolean plausible = arrow >= 0 && text.length() <= 4 * MAXIMUM_VALUES;
        ValueType[] parameters = plausible ? ValueType.parseAll(text.substring(0, arrow), true) : null;
        ValueType[] results = plausible ? ValueType.parseAll(text.substring(arrow + 1), false) : null;
        if (parameters == null || results == null || !areResults(results)) {
            throw new IllegalArgumentException("not a signature: " + text);
        }
        if (parameters.length > MAXIMUM_VALUES || results.length > MAXIMUM_VALUES) {
            throw new IllegalArgumentException("a signature of more than " + MAXIMUM_VALUES + " values");
        }
        return new Signature(text, parameters, results);
    }

    /** Tells whether only numbers stand beside another result. */
    private static boolean areResults(ValueType[] results) {
        for (ValueType type : results) {
            if (results.length > 1 && !type.isScalar()) {
                return false;
            }
        }
        return true;
    }

    /** Tells whether a call needs the guest's memory, for a string or a list. */
    boolean needsMemory() {
        return !core().equals(text);
    }

    /** Returns the signature of the export itself: by the canonical ABI, strings and lists are addresses and counts. */
    String core() {
        StringBuilder letters = new StringBuilder();
        for (ValueType type : parameters) {
            letters.append(type.isScalar() ? String.valueOf(type.letter) : "ii");
        }
        letters.append('>');
        for (ValueType type : results) {
            letters.append(type.isScalar() ? type.letter : 'i');
        }
        return letters.toString();
    }

    /** Converts a boxed number to its bits. Throws {@link IllegalArgumentException} if it does not fit. */
    long toBits(char letter, Object value, int at) {
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
        throw misfit(at, value);
    }

    /** Returns the exception for an argument of the wrong class; a missing one is a {@link NullPointerException}. */
    RuntimeException misfit(int at, Object value) {
        if (value == null) {
            return new NullPointerException("argument " + at + " of signature " + text + " is null");
        }
        String found = value.getClass().getSimpleName();
        return new IllegalArgumentException("argument " + at + " of signature " + text + " cannot be " + found);
    }

    /** Converts bits to a boxed number. */
    static Object fromBits(char letter, long bits) {
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

    /** Returns what {@link Target#call} gives for these results. */
    static Object result(Object[] values) {
        return values.length == 0 ? null : values.length == 1 ? values[0] : values;
    }

    @Override
    public String toString() {
        return text;
    }
}
