package dev.lawow;

import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * One module as native code. Its variables are there once in the process, so its calls wait for each other, and what one
 * leaves in them the next one finds.
 */
final class NativeModule {
    private static final long FOREIGN = -1;

    private final ModuleName name;
    private final long handle;
    private final Map<String, Long> functions = new HashMap<>();

    /**
     * Opens the library of a module: {@code fibonacci.wasm} is {@code liblawow-fibonacci.so}.
     *
     * @param folder where it lies; null for the app's own libraries
     * @throws IllegalStateException it is missing, for another processor, or of another build
     */
    NativeModule(ModuleName name, String folder) {
        String stem = name.file.endsWith(".wasm") ? name.file.substring(0, name.file.length() - 5) : name.file;
        String library = "liblawow-" + stem + ".so";
        long[] opened = new long[1];
        String path = folder == null ? library : folder + "/" + library;
        byte[] wrong = NativeCode.open(Native.utf8(path), Native.utf8(name.digest), opened);
        if (wrong != null) {
            throw new IllegalStateException(library + ": " + new String(wrong, StandardCharsets.UTF_8));
        }
        this.name = name;
        this.handle = opened[0];
    }

    /** Calls a function and returns what {@link Target#call} gives. */
    synchronized Object call(String export, Arguments arguments) {
        long start = System.nanoTime();
        long function = function(export, arguments.signature.toString());
        byte[] body = arguments.body();
        boolean comesBack = arguments.signature.toString().indexOf('&') >= 0;
        long[] outcome = new long[2];
        long prepared = System.nanoTime();
        byte[] contents = NativeCode.call(function, body, comesBack, outcome);
        if (outcome[1] == 0) {
            throw new IllegalStateException(name.file + ": " + export + ": no memory for the call");
        }
        Object result = result(export, arguments.signature, outcome[0], contents);
        if (comesBack) {
            arguments.takeBack(body);
        }
        Lawow.setLastTiming(Timing.local(start, prepared, System.nanoTime()));
        return result;
    }

    private long function(String export, String signature) {
        String key = export + ' ' + signature;
        Long known = functions.get(key);
        if (known == null) {
            known = NativeCode.find(handle, Native.utf8(export), Native.utf8(signature.replace("&", "")));
            functions.put(key, known);
        }
        if (known == 0 || known == FOREIGN) {
            String what = known == 0 ? "exports no function of this name" : "the exported function has another signature";
            throw new IllegalArgumentException(name.file + ": " + export + ": " + what);
        }
        return known;
    }

    private Object result(String export, Signature signature, long bits, byte[] contents) {
        if (signature.results.length == 0) {
            return null;
        }
        ValueType type = signature.results[0];
        if (type.isScalar()) {
            return Signature.fromBits(type.letter, bits);
        }
        if (contents == null) {
            throw new IllegalStateException(name.file + ": " + export + ": a result of more than 2 GiB");
        }
        return type.isList() ? list(type, contents) : text(export, contents);
    }

    private static Object list(ValueType type, byte[] contents) {
        Object array = Elements.make(type.letter, contents.length / type.elementBytes());
        Elements.unpack(type.letter, contents, 0, array);
        return array;
    }

    private String text(String export, byte[] contents) {
        try {
            return Text.decode(contents, 0, contents.length);
        } catch (CharacterCodingException error) {
            throw new Trap("bad-result", name.file + ": " + export + ": the text is not UTF-8");
        }
    }
}
