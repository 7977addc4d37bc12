package dev.lawow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ProtocolException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Reads JSON objects, one a line with line breaks as in JSON, and writes each again, or {@code refused}. */
public final class Documents {
    public static void main(String[] unused) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                System.out.println(text(Json.object(line)));
            } catch (ProtocolException error) {
                System.out.println("refused");
            }
        }
    }

    private static String text(Object value) {
        if (!(value instanceof List) && !(value instanceof Map)) {
            return Json.write(value);
        }
        StringBuilder out = new StringBuilder();
        Iterator<?> items = value instanceof List
            ? ((List<?>) value).iterator() : ((Map<?, ?>) value).entrySet().iterator();
        while (items.hasNext()) {
            Object item = items.next();
            out.append(out.length() == 0 ? "" : ",");
            out.append(item instanceof Map.Entry
                ? Json.write(((Map.Entry<?, ?>) item).getKey()) + ":" + text(((Map.Entry<?, ?>) item).getValue())
                : text(item));
        }
        return value instanceof List ? "[" + out + "]" : "{" + out + "}";
    }
}
