package dev.lawow;

/** Finds one string in a small JSON object of the edge, a problem document (RFC 9457) for one, without a library. */
final class Problem {
    private static final int MOST_CHARACTERS = 500;

    private final String json;
    private int at;

    private Problem(String json) {
        this.json = json;
    }

    /** Returns the top-level {@code "detail"}, cut at 500 characters, or null if the text has none. */
    static String detail(String json) {
        return new Problem(json).find("detail");
    }

    /** Returns the top-level string of this name, cut at 500 characters, or null if the text has none. */
    static String text(String json, String key) {
        return new Problem(json).find(key);
    }

    private String find(String key) {
        int depth = 0;
        String last = null;
        while (at < json.length()) {
            char next = json.charAt(at++);
            if (next == '"') {
                String text = string();
                if (depth == 1 && key.equals(last)) {
                    return text;
                }
                last = isKey() && depth == 1 ? text : null;
            } else if (next == '{' || next == '[') {
                depth++;
                last = null;
            } else if (next == '}' || next == ']') {
                depth--;
            } else if (next == ',') {
                last = null;
            }
        }
        return null;
    }

    private boolean isKey() {
        int after = at;
        while (after < json.length() && Character.isWhitespace(json.charAt(after))) {
            after++;
        }
        return after < json.length() && json.charAt(after) == ':';
    }

    /** Reads a string whose opening quote is behind us. */
    private String string() {
        StringBuilder text = new StringBuilder();
        while (at < json.length() && json.charAt(at) != '"') {
            char next = json.charAt(at++);
            if (next == '\\' && at < json.length()) {
                next = escaped(json.charAt(at++));
            }
            if (text.length() < MOST_CHARACTERS) {
                text.append(next);
            }
        }
        at++;
        return text.toString();
    }

    private char escaped(char letter) {
        if (letter != 'u') {
            int known = "bfnrt".indexOf(letter);
            return known < 0 ? letter : "\b\f\n\r\t".charAt(known);
        }
        int end = Math.min(at + 4, json.length());
        String digits = json.substring(at, end);
        at = end;
        return digits.matches("[0-9a-fA-F]{4}") ? (char) Integer.parseInt(digits, 16) : '?';
    }
}
