import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.invoke.MethodType;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;

/**
 * Calls static methods of the class path with the arguments in a file, and writes what each call did. Both files are
 * big-endian; {@code lawow.proving.machine} is the other side of them.
 *
 * <pre>
 * cases     u16 methods, each: UTF class, UTF name, UTF descriptor, UTF shape of its graphs or nothing;
 *           then until the end: u16 method, arguments
 * argument  number: u64 bits   array: u32 count and elements, little-endian, or FFFFFFFF and u8 earlier parameter
 *           string: as an array of char
 *           with a shape: u32 bytes of the graph and they, then the numbers
 * outcome   'R' result, all arrays that were given      'T' UTF class of what was thrown
 *           with a shape: 'R' u32 bytes of the dump and they
 * result    number: u64 bits   array, string: 0 null, 1 u32 count and elements, 2 u8 parameter that it is
 * </pre>
 *
 * <p>usage: java -cp CLASSES Judge CASES OUTCOMES SECONDS. A call that takes longer ends the process with status 3; the
 * outcomes of the calls before it are in the file.
 */
public final class Judge {
    private static final int SAME = -1;
    private static final int STILL_RUNNING = 3;
    private static final long STACK_BYTES = 256L << 20;

    private final DataInputStream cases;
    private final DataOutputStream outcomes;
    private volatile long done;
    private volatile Throwable failure;

    private Judge(DataInputStream cases, DataOutputStream outcomes) {
        this.cases = cases;
        this.outcomes = outcomes;
    }

    public static void main(String[] arguments) throws Exception {
        Judge judge = new Judge(
            new DataInputStream(new BufferedInputStream(Files.newInputStream(Paths.get(arguments[0])), 1 << 16)),
            new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(Paths.get(arguments[1])), 1 << 16)));
        // What ends on WebAssembly's small stack must end here.
        Thread worker = new Thread(null, judge::runAll, "cases", STACK_BYTES);
        worker.setDaemon(true);
        worker.start();
        long before = -1;
        while (worker.isAlive()) {
            long now = judge.done;
            if (now == before) {
                // The worker writes only between calls, so what it has written is whole.
                judge.outcomes.flush();
                Runtime.getRuntime().halt(STILL_RUNNING);
            }
            before = now;
            worker.join(1000L * Integer.parseInt(arguments[2]));
        }
        if (judge.failure != null) {
            throw new IllegalStateException(judge.failure);
        }
    }

    private void runAll() {
        try {
            Method[] methods = new Method[cases.readUnsignedShort()];
            JudgeGraphs[] graphs = new JudgeGraphs[methods.length];
            for (int at = 0; at < methods.length; at++) {
                methods[at] = find(cases.readUTF(), cases.readUTF(), cases.readUTF());
                String shape = cases.readUTF();
                graphs[at] = shape.isEmpty() ? null : new JudgeGraphs(shape);
            }
            for (int at = cases.read(); at >= 0; at = cases.read()) {
                int number = at << 8 | cases.readUnsignedByte();
                run(methods[number], graphs[number]);
                done++;
            }
            outcomes.close();
        } catch (IOException | ReflectiveOperationException | RuntimeException | LinkageError error) {
            failure = error;
        }
    }

    static Method find(String owner, String name, String descriptor) throws ReflectiveOperationException {
        Class<?> found = Class.forName(owner, false, ClassLoader.getSystemClassLoader());
        for (Method method : found.getDeclaredMethods()) {
            if (method.getName().equals(name) && descriptorOf(method).equals(descriptor)) {
                method.setAccessible(true);
                return method;
            }
        }
        throw new NoSuchMethodException(owner + "." + name + descriptor);
    }

    private static String descriptorOf(Method method) {
        StringBuilder text = new StringBuilder("(");
        for (Class<?> type : method.getParameterTypes()) {
            text.append(letters(type));
        }
        return text.append(')').append(letters(method.getReturnType())).toString();
    }

    private static String letters(Class<?> type) {
        return type == void.class ? "V" : Array.newInstance(type, 0).getClass().getName().substring(1).replace('.', '/');
    }

    private void run(Method method, JudgeGraphs graphs) throws IOException, ReflectiveOperationException {
        Object[] given = graphs == null ? read(method.getParameterTypes()) : graphs.read(cases, this::readNumber);
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        try {
            call(method, given, graphs, new DataOutputStream(whole));
        } catch (OutOfMemoryError error) { // in the reflection, or with what came back
            whole.reset();
            writeThrown(error, new DataOutputStream(whole));
        }
        whole.writeTo(outcomes);
    }

    private Object[] read(Class<?>[] types) throws IOException {
        Object[] given = new Object[types.length];
        for (int at = 0; at < types.length; at++) {
            if (types[at] == String.class) {
                given[at] = new String((char[]) readArray(char.class, given));
            } else {
                given[at] = types[at].isArray() ? readArray(types[at].getComponentType(), given) : readNumber(types[at]);
            }
        }
        return given;
    }

    private static void call(Method method, Object[] given, JudgeGraphs graphs, DataOutputStream to)
            throws IOException, IllegalAccessException {
        Object result;
        try {
            boolean isStatic = Modifier.isStatic(method.getModifiers());
            Object[] others = isStatic ? given : Arrays.copyOfRange(given, 1, given.length);
            result = method.invoke(isStatic ? null : given[0], others);
        } catch (InvocationTargetException error) {
            writeThrown(error.getCause(), to);
            return;
        }
        to.write('R');
        if (graphs != null) {
            byte[] dump = graphs.dump(result, given);
            to.writeInt(dump.length);
            to.write(dump);
            return;
        }
        writeResult(method.getReturnType(), result, given, to);
        for (Object item : given) {
            if (item.getClass().isArray()) {
                writeArray(item, to);
            }
        }
    }

    private static void writeThrown(Throwable error, DataOutputStream to) throws IOException {
        to.write('T');
        to.writeUTF(error.getClass().getName());
    }

    private Object readNumber(char type) throws IOException {
        return readNumber(MethodType.fromMethodDescriptorString("()" + type, null).returnType());
    }

    private Object readNumber(Class<?> type) throws IOException {
        long bits = cases.readLong();
        if (type == boolean.class) {
            return bits != 0;
        }
        if (type == byte.class) {
            return (byte) bits;
        }
        if (type == short.class) {
            return (short) bits;
        }
        if (type == char.class) {
            return (char) bits;
        }
        if (type == int.class) {
            return (int) bits;
        }
        if (type == float.class) {
            return Float.intBitsToFloat((int) bits);
        }
        return type == long.class ? (Object) bits : (Object) Double.longBitsToDouble(bits);
    }

    private static long bitsOf(Object value) {
        if (value instanceof Boolean) {
            return (Boolean) value ? 1 : 0;
        }
        if (value instanceof Character) {
            return (Character) value;
        }
        if (value instanceof Float) {
            return Float.floatToRawIntBits((Float) value);
        }
        return value instanceof Double ? Double.doubleToRawLongBits((Double) value) : ((Number) value).longValue();
    }

    private Object readArray(Class<?> type, Object[] given) throws IOException {
        int count = cases.readInt();
        if (count == SAME) {
            return given[cases.readUnsignedByte()];
        }
        Object array = Array.newInstance(type, count);
        byte[] bytes = new byte[count * sizeOf(type)];
        cases.readFully(bytes);
        ByteBuffer from = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < count; at++) {
            Array.set(array, at, take(type, from));
        }
        return array;
    }

    static Object take(Class<?> type, ByteBuffer from) {
        if (type == boolean.class) {
            return from.get() != 0;
        }
        if (type == byte.class) {
            return from.get();
        }
        if (type == short.class) {
            return from.getShort();
        }
        if (type == char.class) {
            return from.getChar();
        }
        if (type == int.class) {
            return from.getInt();
        }
        if (type == float.class) {
            return from.getFloat();
        }
        return type == long.class ? (Object) from.getLong() : (Object) from.getDouble();
    }

    private static void writeResult(Class<?> type, Object result, Object[] given, DataOutputStream to)
            throws IOException {
        if (!type.isArray() && type != String.class) {
            if (type != void.class) {
                to.writeLong(bitsOf(result));
            }
            return;
        }
        for (int at = 0; at < given.length && result != null; at++) {
            if (given[at] == result) {
                to.write(2);
                to.write(at);
                return;
            }
        }
        to.write(result == null ? 0 : 1);
        if (result != null) {
            writeArray(type == String.class ? ((String) result).toCharArray() : result, to);
        }
    }

    private static void writeArray(Object array, DataOutputStream to) throws IOException {
        int count = Array.getLength(array);
        int size = sizeOf(array.getClass().getComponentType());
        ByteBuffer elements = ByteBuffer.allocate(count * size).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < count; at++) {
            put(size, bitsOf(Array.get(array, at)), elements);
        }
        to.writeInt(count);
        to.write(elements.array());
    }

    private static void put(int size, long bits, ByteBuffer to) {
        switch (size) {
            case 1:
                to.put((byte) bits);
                break;
            case 2:
                to.putShort((short) bits);
                break;
            case 4:
                to.putInt((int) bits);
                break;
            default:
                to.putLong(bits);
        }
    }

    static int sizeOf(Class<?> type) {
        if (type == boolean.class || type == byte.class) {
            return 1;
        }
        if (type == short.class || type == char.class) {
            return 2;
        }
        return type == int.class || type == float.class ? 4 : 8;
    }
}
