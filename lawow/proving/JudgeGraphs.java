import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import sun.reflect.ReflectionFactory;

/**
 * Arguments of one method that are object graphs: read from the bytes that a module gets, and written as a dump. The
 * layout is that of {@code lawow.dalvik.graphs}, the dump that of {@code lawow.proving.graphs}.
 */
final class JudgeGraphs {
    /** A type of nodes: a class or an array, and the fields that are known of a class. */
    private static final class Type {
        final int word;
        final Class<?> type;
        final List<Field> fields = new ArrayList<>();

        Type(String text) throws ReflectiveOperationException {
            String[] parts = text.split(":", -1);
            word = (int) Long.parseLong(parts[0]);
            type = classOf(parts[1]);
            for (String field : parts[2].isEmpty() ? new String[0] : parts[2].split("\\|")) {
                String[] name = field.split("@");
                Field found = classOf(name[1]).getDeclaredField(name[0].replace("!", ""));
                found.setAccessible(true);
                fields.add(found);
            }
        }

        int number() {
            return word >>> 16;
        }

        Class<?> kindOf(int item) {
            return type == String.class ? char.class : type.isArray() ? type.getComponentType() : fields.get(item).getType();
        }
    }

    private final String[] values;
    private final Map<Integer, Type> types = new HashMap<>();
    private final Map<Class<?>, Type> byClass = new HashMap<>();

    JudgeGraphs(String shape) throws ReflectiveOperationException {
        String[] words = shape.split(" ");
        values = words[0].split(",");
        for (int at = 1; at < words.length; at++) {
            Type type = new Type(words[at]);
            types.put(type.number(), type);
            byClass.put(type.type, type);
        }
    }

    private static Class<?> classOf(String descriptor) throws ClassNotFoundException {
        boolean isArray = descriptor.startsWith("[");
        String name = isArray ? descriptor : descriptor.substring(1, descriptor.length() - 1);
        return Class.forName(name.replace('/', '.'), false, ClassLoader.getSystemClassLoader());
    }

    // ---- reading

    /** Returns the arguments; numbers are longs that {@code Judge} narrows. */
    Object[] read(DataInputStream from, Numbers numbers) throws IOException, ReflectiveOperationException {
        byte[] image = new byte[from.readInt()];
        from.readFully(image);
        Map<Integer, Object> nodes = nodes(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN));
        ByteBuffer roots = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).position(8);
        Object[] given = new Object[values.length - 1];
        for (int at = 0; at < given.length; at++) {
            given[at] = values[at].startsWith("@") ? nodes.get(roots.getInt()) : numbers.read(values[at].charAt(0));
        }
        return given;
    }

    /** Reads a number of a type. */
    interface Numbers {
        Object read(char type) throws IOException;
    }

    private Map<Integer, Object> nodes(ByteBuffer image) throws ReflectiveOperationException {
        Map<Integer, Object> nodes = new HashMap<>();
        int first = 8 + 4 * image.getInt(0) + 7 & -8;
        for (int at = first; at < image.limit(); at += size(image, at)) {
            nodes.put(at, made(types.get(image.getInt(at + 4) >>> 16), image.getInt(at), at, image));
        }
        for (int at = first; at < image.limit(); at += size(image, at)) {
            fill(nodes.get(at), types.get(image.getInt(at + 4) >>> 16), image.getInt(at), at, nodes, image);
        }
        return nodes;
    }

    private static int size(ByteBuffer image, int at) {
        return 8 + ((image.getInt(at) << (image.getInt(at + 4) & 3)) + 7 & -8);
    }

    private static Object made(Type type, int count, int at, ByteBuffer image) throws ReflectiveOperationException {
        if (type.type == String.class) {
            char[] chars = new char[count];
            image.position(at + 8).slice().order(ByteOrder.LITTLE_ENDIAN).asCharBuffer().get(chars);
            return new String(chars);
        }
        return type.type.isArray()
            ? Array.newInstance(type.type.getComponentType(), count)
            : ReflectionFactory.getReflectionFactory()
                .newConstructorForSerialization(type.type, Object.class.getConstructor())
                .newInstance();
    }

    private static void fill(
            Object node, Type type, int count, int at, Map<Integer, Object> nodes, ByteBuffer image)
            throws IllegalAccessException {
        if (type.type == String.class) {
            return;
        }
        for (int item = 0; item < count; item++) {
            Object value = taken(type.kindOf(item), at + 8 + (item << (type.word & 3)), nodes, image);
            if (type.type.isArray()) {
                Array.set(node, item, value);
            } else {
                type.fields.get(item).set(node, value);
            }
        }
    }

    private static Object taken(Class<?> kind, int at, Map<Integer, Object> nodes, ByteBuffer image) {
        if (kind == boolean.class) {
            return image.get(at) != 0;
        } else if (kind == byte.class) {
            return image.get(at);
        } else if (kind == char.class) {
            return image.getChar(at);
        } else if (kind == short.class) {
            return image.getShort(at);
        } else if (kind == int.class) {
            return image.getInt(at);
        } else if (kind == float.class) {
            return image.getFloat(at);
        } else if (kind == long.class) {
            return image.getLong(at);
        }
        return kind == double.class ? (Object) image.getDouble(at) : nodes.get(image.getInt(at));
    }

    // ---- the dump

    /** Returns what can be reached from the result and the arguments. */
    byte[] dump(Object result, Object[] given) throws IOException, IllegalAccessException {
        Map<Object, Integer> numbers = new IdentityHashMap<>();
        List<Object> order = new ArrayList<>();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        String returns = values[values.length - 1];
        if (!returns.equals("V")) {
            write(!returns.startsWith("@"), result, numbers, order, out);
        }
        for (int at = 0; at < given.length; at++) {
            write(!values[at].startsWith("@"), given[at], numbers, order, out);
        }
        for (int at = 0; at < order.size(); at++) {
            Object node = order.get(at) instanceof String ? ((String) order.get(at)).toCharArray() : order.get(at);
            Type type = byClass.get(order.get(at).getClass());
            int count = node.getClass().isArray() ? Array.getLength(node) : type.fields.size();
            out.writeInt(count);
            out.writeShort(type.number());
            for (int item = 0; item < count; item++) {
                Object value = node.getClass().isArray() ? Array.get(node, item) : type.fields.get(item).get(node);
                write(type.kindOf(item).isPrimitive(), value, numbers, order, out);
            }
        }
        return bytes.toByteArray();
    }

    private static void write(
            boolean isNumber, Object value, Map<Object, Integer> numbers, List<Object> order, DataOutputStream out)
            throws IOException {
        if (isNumber) {
            out.writeLong(bitsOf(value));
            return;
        }
        // Whether two equal strings are one is left to the class library.
        Object key = value instanceof String ? ((String) value).intern() : value;
        if (key != null && numbers.putIfAbsent(key, order.size() + 1) == null) {
            order.add(key);
        }
        out.writeInt(key == null ? 0 : numbers.get(key));
    }

    /** A number's bits as Java widens them, every NaN as the same one. */
    private static long bitsOf(Object value) {
        if (value instanceof Boolean) {
            return (Boolean) value ? 1 : 0;
        } else if (value instanceof Character) {
            return (Character) value;
        } else if (value instanceof Float) {
            return Float.floatToIntBits((Float) value);
        }
        return value instanceof Double ? Double.doubleToLongBits((Double) value) : ((Number) value).longValue();
    }
}
