package dev.lawow;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * Calls of translated methods that take or give more than numbers, strings and plain arrays. All that can be reached from
 * the arguments travels in one list of bytes, and what has changed or is new comes back in one: what is one object here
 * is one object there. The layout is that of {@code lawow.dalvik.graphs}.
 */
public final class ObjectGraph {
    private static final int HEAD_BYTES = 8;
    private static final int ANSWER_BYTES = 16;
    private static final int RECORD_BYTES = 16;

    private final GraphShape shape;
    private final Object[] arguments;
    private final Map<Object, Integer> offsets = new IdentityHashMap<>();
    private final List<Object> nodes = new ArrayList<>();
    private long end;

    ObjectGraph(GraphShape shape, Object[] arguments) {
        this.shape = shape;
        this.arguments = arguments;
    }

    /**
     * Runs an export on the edge, or returns {@link Lawow#LOCAL}; {@code types} are its signature and, behind a space, the
     * shape of its graphs. The object of a method is its first argument.
     *
     * @throws IllegalArgumentException the arguments are of other classes than the method's own types, or the answer is
     *     not sound; nothing has changed then
     */
    public static Object elastic(String module, String export, String types, Object[] arguments) {
        int space = types.indexOf(' ');
        ObjectGraph graph = new ObjectGraph(GraphShape.of(types.substring(space + 1)), arguments);
        try {
            Object answer = Lawow.elastic(module, export, types.substring(0, space), graph.sent());
            return answer == Lawow.LOCAL ? answer : graph.taken((byte[]) answer);
        } catch (IllegalAccessException error) {
            throw new IllegalArgumentException(error);
        }
    }

    // ---- there

    Object[] sent() throws IllegalAccessException {
        List<Object> roots = new ArrayList<>();
        List<Object> values = new ArrayList<>();
        values.add(null);
        for (int at = 0; at < arguments.length; at++) {
            (shape.arguments[at] == null ? values : roots).add(arguments[at]);
        }
        end = HEAD_BYTES + 4L * roots.size() + 7 & -8L;
        for (int at = 0, root = 0; at < arguments.length; at++) {
            if (shape.arguments[at] != null) {
                offset(roots.get(root++), shape.arguments[at].type);
            }
        }
        for (int at = 0; at < nodes.size(); at++) {
            follow(nodes.get(at));
        }
        values.set(0, image(roots));
        return values.toArray();
    }

    /** Returns where a node is, which gets a place if it has none; 0 for null. */
    private int offset(Object value, Class<?> type) {
        if (value == null) {
            return 0;
        }
        Integer known = offsets.get(value);
        if (known != null) {
            return known;
        }
        if (value.getClass() != type) {
            throw new IllegalArgumentException(value.getClass().getName() + " where " + type.getName() + " is known");
        }
        int place = (int) end;
        offsets.put(value, place);
        nodes.add(value);
        end += HEAD_BYTES + shape.typeOf(type).bytes(count(value));
        if (end > Integer.MAX_VALUE - HEAD_BYTES) {
            throw new IllegalArgumentException("the arguments are more than 2 GiB");
        }
        return place;
    }

    private int count(Object node) {
        if (node instanceof String) {
            return ((String) node).length();
        }
        return node.getClass().isArray() ? Array.getLength(node) : shape.typeOf(node.getClass()).fields.length;
    }

    private void follow(Object node) throws IllegalAccessException {
        if (node instanceof Object[]) {
            for (Object item : (Object[]) node) {
                offset(item, node.getClass().getComponentType());
            }
        } else if (!(node instanceof String || node.getClass().isArray())) {
            for (Field field : shape.typeOf(node.getClass()).fields) {
                if (!field.getType().isPrimitive()) {
                    offset(field.get(node), field.getType());
                }
            }
        }
    }

    private byte[] image(List<Object> roots) throws IllegalAccessException {
        ByteBuffer image = ByteBuffer.allocate((int) end).order(ByteOrder.LITTLE_ENDIAN);
        image.putInt(roots.size()).putInt(0);
        for (Object root : roots) {
            image.putInt(known(root));
        }
        for (Object node : nodes) {
            image.position(offsets.get(node));
            GraphShape.Type type = shape.typeOf(node.getClass());
            image.putInt(count(node)).putInt(type.word);
            if (node instanceof Object[]) {
                for (Object item : (Object[]) node) {
                    image.putInt(known(item));
                }
            } else if (type.letter == 0) {
                for (Field field : type.fields) {
                    image.putLong(bits(field.get(node), field.getType()));
                }
            } else {
                Object array = node instanceof String ? ((String) node).toCharArray() : node;
                image.put(Elements.pack(type.letter, array, Array.getLength(array) << (type.word & 3)));
            }
        }
        return image.array();
    }

    /** Returns where a node is; one that came between, by another thread, is not among those that travel. */
    private int known(Object node) {
        Integer place = node == null ? Integer.valueOf(0) : offsets.get(node);
        if (place == null) {
            throw new IllegalArgumentException("the arguments change while they are read");
        }
        return place;
    }

    private long bits(Object value, Class<?> type) {
        if (!type.isPrimitive()) {
            return known(value);
        } else if (type == boolean.class) {
            return (Boolean) value ? 1 : 0;
        } else if (type == char.class) {
            return (Character) value;
        } else if (type == float.class) {
            return Float.floatToRawIntBits((Float) value) & 0xffffffffL;
        }
        return type == double.class ? Double.doubleToRawLongBits((Double) value) : ((Number) value).longValue();
    }

    // ---- and back

    /** Checks the whole answer before anything here changes. */
    Object taken(byte[] answer) throws IllegalAccessException {
        ByteBuffer body = ByteBuffer.wrap(answer).order(ByteOrder.LITTLE_ENDIAN);
        Map<Integer, Object> found = new HashMap<>();
        for (Object node : nodes) {
            found.put(offsets.get(node), node);
        }
        require(answer.length >= ANSWER_BYTES);
        for (int at = ANSWER_BYTES; at < answer.length; at = next(body, at)) {
            meet(body, at, found);
        }
        List<Object[]> references = new ArrayList<>();
        for (int at = ANSWER_BYTES; at < answer.length; at = next(body, at)) {
            references.add(references(body, at, found));
        }
        Object result = result(body, found);
        int record = 0;
        for (int at = ANSWER_BYTES; at < answer.length; at = next(body, at)) {
            fill(found.get(body.getInt(at)), body, at, references.get(record++));
        }
        return result;
    }

    private static void require(boolean isSound) {
        if (!isSound) {
            throw new IllegalArgumentException("the answer is not sound");
        }
    }

    private GraphShape.Type typeAt(ByteBuffer body, int at) {
        return shape.type(body.getInt(at + 12) >>> 16);
    }

    private int next(ByteBuffer body, int at) {
        return (int) (at + RECORD_BYTES + typeAt(body, at).bytes(body.getInt(at + 8)));
    }

    /** Makes a node that is new, and finds fault with one that is not what it was. */
    private void meet(ByteBuffer body, int at, Map<Integer, Object> found) {
        require(at + RECORD_BYTES <= body.limit() && typeAt(body, at) != null);
        GraphShape.Type type = typeAt(body, at);
        int count = body.getInt(at + 8);
        require(count >= 0 && at + RECORD_BYTES + type.bytes(count) <= body.limit());
        Object node = found.get(body.getInt(at));
        if (node != null) {
            require(node.getClass() == type.type && count(node) == count);
            return;
        }
        require(type.letter != 0 || type.type.isArray());
        if (type.type == String.class) {
            char[] chars = new char[count];
            Elements.unpack('c', body.array(), at + RECORD_BYTES, chars);
            node = new String(chars);
        } else {
            node = Array.newInstance(type.type.getComponentType(), count);
        }
        found.put(body.getInt(at), node);
    }

    /** Returns the nodes that a record's references are to, each of the type that belongs there. */
    private Object[] references(ByteBuffer body, int at, Map<Integer, Object> found) {
        GraphShape.Type type = typeAt(body, at);
        Object[] references = new Object[type.letter == 0 ? body.getInt(at + 8) : 0];
        for (int item = 0; item < references.length; item++) {
            Class<?> wanted = type.type.isArray() ? type.type.getComponentType() : type.fields[item].getType();
            if (!wanted.isPrimitive()) {
                int offset = body.getInt(at + RECORD_BYTES + (item << (type.word & 3)));
                references[item] = node(offset, wanted, found);
            }
        }
        return references;
    }

    private static Object node(int offset, Class<?> wanted, Map<Integer, Object> found) {
        Object node = found.get(offset);
        require(offset == 0 || wanted.isInstance(node));
        return node;
    }

    private void fill(Object node, ByteBuffer body, int at, Object[] references) throws IllegalAccessException {
        GraphShape.Type type = typeAt(body, at);
        if (node instanceof Object[]) {
            System.arraycopy(references, 0, node, 0, references.length);
        } else if (type.letter == 0) {
            for (int item = 0; item < type.fields.length; item++) {
                if (type.isWritten[item]) {
                    set(node, type.fields[item], body.getLong(at + RECORD_BYTES + 8 * item), references[item]);
                }
            }
        } else if (type.type != String.class) {
            Elements.unpack(type.letter, body.array(), at + RECORD_BYTES, node);
        }
    }

    private static void set(Object node, Field field, long bits, Object reference) throws IllegalAccessException {
        Class<?> type = field.getType();
        if (type == boolean.class) {
            field.setBoolean(node, (int) bits != 0);
        } else if (type == byte.class) {
            field.setByte(node, (byte) bits);
        } else if (type == char.class) {
            field.setChar(node, (char) bits);
        } else if (type == short.class) {
            field.setShort(node, (short) bits);
        } else if (type == int.class) {
            field.setInt(node, (int) bits);
        } else if (type == long.class) {
            field.setLong(node, bits);
        } else if (type == float.class) {
            field.setFloat(node, Float.intBitsToFloat((int) bits));
        } else if (type == double.class) {
            field.setDouble(node, Double.longBitsToDouble(bits));
        } else {
            field.set(node, reference);
        }
    }

    private Object result(ByteBuffer body, Map<Integer, Object> found) {
        long bits = body.getLong(0);
        switch (shape.result) {
            case 'V':
                return null;
            case '@':
                return node((int) bits, Object.class, found);
            case 'J':
                return bits;
            case 'F':
                return Float.intBitsToFloat((int) bits);
            case 'D':
                return Double.longBitsToDouble(bits);
            default:
                return (int) bits;
        }
    }
}
