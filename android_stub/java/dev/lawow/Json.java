package dev.lawow;

import java.net.ProtocolException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads and writes the small JSON documents of an edge (RFC 8259), because Android's own reader is not on every JVM:
 * {@code Map}, {@code List}, {@code String}, {@code Double}, {@code Boolean}, null. A document that is none, or nested
 * deeper than 32, is a {@link ProtocolException}.
 */
final class Json {
    private static final int MOST_DEPTH = 32;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** Returns the object that the text is. */
    static Map<?, ?> object(String text) throws ProtocolException {
        Json reader = new Json(text);
        Object value = reader.value(0);
        reader.skip();
        if (reader.at < text.length() || !(value instanceof Map)) {
            throw reader.wrong();
        }
        return (Map<?, ?>) value;
    }

    /** Returns a text of a document; throws if it is not there, has control characters, or more than 1,000 characters. */
    static String text(Map<?, ?> document, String key) throws ProtocolException {
        Object value = document.get(key);
        boolean isText = value instanceof String && ((String) value).length() <= 1000;
        if (!isText || !((String) value).matches("\\P{Cntrl}*")) {
            throw new ProtocolException("answers without a text " + key);
        }
        return (String) value;
    }

    /** Returns the objects in a list of a document. */
    static List<Map<?, ?>> objects(Map<?, ?> document, String key) throws ProtocolException {
        List<Map<?, ?>> found = new ArrayList<>();
        Object list = document.get(key);
        for (Object item : list instanceof List ? (List<?>) list : Collections.singletonList(null)) {
            if (!(item instanceof Map)) {
                throw new ProtocolException("answers without a list " + key);
            }
            found.add((Map<?, ?>) item);
        }
        return found;
    }

    /** Writes text, numbers, booleans, null, and maps and arrays of these. */
    static String write(Object value) {
        if (value instanceof Map) {
            StringBuilder out = new StringBuilder("{");
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(out.length() == 1 ? "" : ",").append(quote(String.valueOf(entry.getKey())));
                out.append(':').append(write(entry.getValue()));
            }
            return out.append('}').toString();
        }
        if (value instanceof Object[]) {
            StringBuilder out = new StringBuilder("[");
            for (Object item : (Object[]) value) {
                out.append(out.length() == 1 ? "" : ",").append(write(item));
            }
            return out.append(']').toString();
        }
        return value instanceof String ? quote((String) value) : String.valueOf(value);
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (int at = 0; at < text.length(); at++) {
            char letter = text.charAt(at);
            if (letter < ' ' || letter == '"' || letter == '\\' || letter > '~') {
                out.append("\\u").append(Integer.toHexString(0x10000 | letter).substring(1));
            } else {
                out.append(letter);
            }
        }
        return out.append('"').toString();
    }

    private Object value(int depth) throws ProtocolException {
        skip();
        char next = at < text.length() && depth < MOST_DEPTH ? text.charAt(at) : 0;
        switch (next) {
            case '{':
                return members(depth);
            case '[':
                return items(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> members(int depth) throws ProtocolException {
        Map<String, Object> members = new LinkedHashMap<>();
        for (boolean more = begins('}'); more; more = goesOn('}')) {
            skip();
            String key = string();
            expect(':');
            members.put(key, value(depth + 1));
        }
        return members;
    }

    private List<Object> items(int depth) throws ProtocolException {
        List<Object> items = new ArrayList<>();
        for (boolean more = begins(']'); more; more = goesOn(']')) {
            items.add(value(depth + 1));
        }
        return items;
    }

    /** Steps over an opening bracket; tells whether something is in it, else over the closing one as well. */
    private boolean begins(char close) {
        at++;
        skip();
        boolean isEmpty = at < text.length() && text.charAt(at) == close;
        at += isEmpty ? 1 : 0;
        return !isEmpty;
    }

    private boolean goesOn(char close) throws ProtocolException {
        skip();
        char next = at < text.length() ? text.charAt(at++) : 0;
        if (next != ',' && next != close) {
            throw wrong();
        }
        return next == ',';
    }

    private String string() throws ProtocolException {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (at < text.length() && text.charAt(at) != '"') {
            char next = text.charAt(at++);
            if (next < ' ') {
                throw wrong();
            }
            out.append(next == '\\' ? escaped() : next);
        }
        expect('"');
        return out.toString();
    }

    private char escaped() throws ProtocolException {
        char letter = at < text.length() ? text.charAt(at++) : 0;
        if (letter == 'u' && at + 4 <= text.length() && text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
            at += 4;
            return (char) Integer.parseInt(text.substring(at - 4, at), 16);
        }
        int known = "\"\\/bfnrt".indexOf(letter);
        if (known < 0) {
            throw wrong();
        }
        return "\"\\/\b\f\n\r\t".charAt(known);
    }

    private Object word(String word, Object value) throws ProtocolException {
        if (!text.startsWith(word, at)) {
            throw wrong();
        }
        at += word.length();
        return value;
    }

    private Double number() throws ProtocolException {
        int from = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String digits = text.substring(from, at);
        if (digits.length() > 100 || !digits.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?")) {
            throw wrong();
        }
        return Double.valueOf(digits);
    }

    private void expect(char letter) throws ProtocolException {
        if (letter != '"') {
            skip();
        }
        if (at >= text.length() || text.charAt(at) != letter) {
            throw wrong();
        }
        at++;
    }

    private void skip() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private ProtocolException wrong() {
        return new ProtocolException("answers with JSON that is none, at character " + at);
    }
}
