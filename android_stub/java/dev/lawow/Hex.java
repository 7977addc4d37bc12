package dev.lawow;

/** Hexadecimal digits, lower case. */
final class Hex {
    private static final String DIGITS = "0123456789abcdef";

    private Hex() {}

    static String encode(byte[] data) {
        StringBuilder text = new StringBuilder(2 * data.length);
        for (byte value : data) {
            text.append(DIGITS.charAt((value >> 4) & 15)).append(DIGITS.charAt(value & 15));
        }
        return text.toString();
    }

    /** Decodes an even number of lower-case digits, which the caller has checked. */
    static byte[] decode(String text) {
        byte[] data = new byte[text.length() / 2];
        for (int at = 0; at < data.length; at++) {
            data[at] = (byte) (DIGITS.indexOf(text.charAt(2 * at)) << 4 | DIGITS.indexOf(text.charAt(2 * at + 1)));
        }
        return data;
    }

    static boolean isLower(String text) {
        for (int at = 0; at < text.length(); at++) {
            if (DIGITS.indexOf(text.charAt(at)) < 0) {
                return false;
            }
        }
        return true;
    }
}
