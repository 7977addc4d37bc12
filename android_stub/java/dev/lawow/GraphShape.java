package dev.lawow;

import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The types of one method whose values are object graphs, as a generated class tells them: {@code lawow.dalvik.graphs}
 * writes the text. Fields are found by name once for each text.
 */
final class GraphShape {
    private static final Map<String, GraphShape> KNOWN = new ConcurrentHashMap<>();

    /** A type of nodes: a class, and what is known of its fields; an array; or a string. */
    static final class Type {
        final int word;
        final Class<?> type;
        final Field[] fields;
        final boolean[] isWritten;

        /** The letter of what an array or a string holds, 0 for references and fields. */
        final char letter;

        private Type(String text) throws ReflectiveOperationException {
            String[] parts = text.split(":", -1);
            word = (int) Long.parseLong(parts[0]);
            type = classOf(parts[1]);
            letter = type == String.class ? 'c' : type.isArray() ? Elements.letterOf(type.getComponentType()) : 0;
            String[] names = parts[2].isEmpty() ? new String[0] : parts[2].split("\\|");
            fields = new Field[names.length];
            isWritten = new boolean[names.length];
            for (int at = 0; at < names.length; at++) {
                isWritten[at] = names[at].startsWith("!");
                String[] name = names[at].substring(isWritten[at] ? 1 : 0).split("@");
                fields[at] = classOf(name[1]).getDeclaredField(name[0]);
                fields[at].setAccessible(true);
            }
        }

        int number() {
            return word >>> 16;
        }

        /** Returns how many bytes so many elements or fields take, all of which begin at a multiple of 8. */
        long bytes(long count) {
            return (count << (word & 3)) + 7 & -8L;
        }
    }

    /** For each argument its type, or null for a number. */
    final Type[] arguments;

    /** The result's letter in a descriptor; {@code @} for a reference. */
    final char result;

    private final Map<Integer, Type> types = new HashMap<>();
    private final Map<Class<?>, Type> byClass = new HashMap<>();

    private GraphShape(String text) throws ReflectiveOperationException {
        String[] words = text.split(" ");
        for (int at = 1; at < words.length; at++) {
            Type type = new Type(words[at]);
            types.put(type.number(), type);
            byClass.put(type.type, type);
        }
        String[] values = words[0].split(",");
        arguments = new Type[values.length - 1];
        for (int at = 0; at < arguments.length; at++) {
            boolean isNumber = !values[at].startsWith("@");
            arguments[at] = isNumber ? null : type((int) Long.parseLong(values[at].substring(1)) >>> 16);
            if (!isNumber && arguments[at] == null) {
                throw new IllegalArgumentException("no type " + values[at]);
            }
        }
        result = values[values.length - 1].charAt(0);
    }

    /**
     * Returns the shape that a text tells.
     *
     * @throws IllegalArgumentException a class or a field is not there, or nobody may look at it
     */
    static GraphShape of(String text) {
        GraphShape shape = KNOWN.get(text);
        if (shape == null) {
            try {
                shape = new GraphShape(text);
            } catch (ReflectiveOperationException | LinkageError | RuntimeException error) {
                throw new IllegalArgumentException("not the types of this app: " + text, error);
            }
            KNOWN.put(text, shape);
        }
        return shape;
    }

    /** Returns the type with a number, or null. */
    Type type(int number) {
        return types.get(number);
    }

    /** Returns the type of what is exactly of a class, or null. */
    Type typeOf(Class<?> type) {
        return byClass.get(type);
    }

    private static Class<?> classOf(String descriptor) throws ClassNotFoundException {
        boolean isArray = descriptor.startsWith("[");
        String name = isArray ? descriptor : descriptor.substring(1, descriptor.length() - 1);
        return Class.forName(name.replace('/', '.'), false, GraphShape.class.getClassLoader());
    }
}
