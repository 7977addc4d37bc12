package dev.lawow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Array;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Packs and unpacks calls without any I/O. In: {@code SIGNATURE TAB RESPONSE-HEX TAB VALUE ...}; a list is {@code
 * [a,b]}, an array that an earlier parameter has is {@code =INDEX}, a string is the hex of its UTF-8. Out: {@code
 * REQUEST-HEX TAB RESULT TAB VALUE-AFTER ...}, or {@code refused MESSAGE}.
 */
public final class Vectors {
    public static void main(String[] unused) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(answer(line.split("\t", -1)));
        }
    }

    private static String answer(String[] words) {
        try {
            Signature signature = Signature.parse(words[0]);
            Object[] values = new Object[words.length - 2];
            for (int at = 0; at < values.length; at++) {
                String word = words[at + 2];
                values[at] = word.startsWith("=")
                    ? values[Integer.parseInt(word.substring(1))]
                    : value(signature.parameters[at], word);
            }
            Arguments arguments = new Arguments(signature, values);
            StringBuilder out = new StringBuilder(Hex.encode(arguments.body()));
            Object result = new Response(arguments, bytes(words[1])).deliver();
            out.append('\t').append(text(result));
            for (Object value : values) {
                out.append('\t').append(text(value));
            }
            return out.toString();
        } catch (ProtocolException error) {
            return "refused " + error.getMessage();
        } catch (IllegalArgumentException error) {
            return "refused " + error.getMessage();
        }
    }

    private static Object value(ValueType type, String word) {
        if (type.isScalar()) {
            return number(type.letter, word);
        }
        if (!type.isList()) {
            return new String(bytes(word), StandardCharsets.UTF_8);
        }
        String inner = word.substring(1, word.length() - 1);
        String[] items = inner.isEmpty() ? new String[0] : inner.split(",");
        Object array = Elements.make(type.letter, items.length);
        for (int at = 0; at < items.length; at++) {
            Array.set(array, at, number(type.letter, items[at]));
        }
        return array;
    }

    private static Object number(char letter, String text) {
        switch (letter) {
            case 'z':
                return text.equals("true");
            case 'b':
                return Byte.valueOf(text);
            case 'c':
                return (char) Integer.parseInt(text);
            case 's':
                return Short.valueOf(text);
            case 'i':
                return Integer.valueOf(text);
            case 'I':
                return Long.valueOf(text);
            case 'f':
                return Float.valueOf(text);
            default:
                return Double.valueOf(text);
        }
    }

    private static String text(Object value) {
        if (value instanceof String) {
            return Hex.encode(((String) value).getBytes(StandardCharsets.UTF_8));
        }
        if (value instanceof Object[]) {
            return Arrays.toString((Object[]) value).replace(" ", "");
        }
        if (value == null || !value.getClass().isArray()) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder("[");
        for (int at = 0; at < Array.getLength(value); at++) {
            Object item = Array.get(value, at);
            out.append(at == 0 ? "" : ",").append(item instanceof Character ? (int) (Character) item : item);
        }
        return out.append(']').toString();
    }

    private static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int at = 0; at < bytes.length; at++) {
            bytes[at] = (byte) Integer.parseInt(hex.substring(2 * at, 2 * at + 2), 16);
        }
        return bytes;
    }
}
