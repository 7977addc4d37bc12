package dev.lawow;

import java.util.ArrayList;
import java.util.List;

/** The type of one parameter or result: a number, a string, or a list of numbers, which may also come back. */
final class ValueType {
    private static final String SCALARS = "iIfF";
    private static final String ELEMENTS = "zbcsiIfF";

    /** What the canonical ABI aligns elements to, which is also their size. */
    private static final int[] ELEMENT_BYTES = {1, 1, 2, 2, 4, 8, 4, 8};

    /** IN_OUT is a list whose contents after the call come back. */
    enum Form {
        SCALAR,
        STRING,
        LIST,
        IN_OUT
    }

    final Form form;

    /** A scalar's letter or a list's element's; {@code b} for a string, whose units are bytes. */
    final char letter;

    private ValueType(Form form, char letter) {
        this.form = form;
        this.letter = letter;
    }

    /** Parses the types of one side of a signature; returns null if the text is anything else. */
    static ValueType[] parseAll(String text, boolean areParameters) {
        List<ValueType> types = new ArrayList<ValueType>();
        int at = 0;
        while (at < text.length()) {
            char first = text.charAt(at++);
            if (SCALARS.indexOf(first) >= 0) {
                types.add(new ValueType(Form.SCALAR, first));
                continue;
            }
            if (first == 'S') {
                types.add(new ValueType(Form.STRING, 'b'));
                continue;
            }
            boolean inOut = first == '&' && areParameters && at < text.length();
            char bracket = inOut ? text.charAt(at++) : first;
            if (bracket != '[' || at == text.length() || ELEMENTS.indexOf(text.charAt(at)) < 0) {
                return null;
            }
            types.add(new ValueType(inOut ? Form.IN_OUT : Form.LIST, text.charAt(at++)));
        }
        return types.toArray(new ValueType[0]);
    }

    boolean isScalar() {
        return form == Form.SCALAR;
    }

    boolean isList() {
        return form == Form.LIST || form == Form.IN_OUT;
    }

    /** Returns the size and alignment of a list's element, 1 for a string. */
    int elementBytes() {
        return ELEMENT_BYTES[ELEMENTS.indexOf(letter)];
    }
}
