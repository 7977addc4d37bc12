package dev.lawow;

import java.util.HashMap;
import java.util.Map;

/**
 * The modules' functions as native code inside this process: what {@code lawow pack --local native} puts into an app in
 * place of a WebAssembly runtime. <b>Native code has no sandbox.</b> A function that divides by zero, reads beyond an array
 * or recurses without end does not trap: it may end the app, or damage its memory. Nothing limits its time or memory.
 */
final class NativeRuntime implements Target {
    private final String folder;
    private final Map<String, NativeModule> modules = new HashMap<>();

    /**
     * Loads the library that calls modules.
     *
     * @throws IllegalStateException it is missing or for another processor, or a limit is set that nothing could keep
     */
    NativeRuntime(Configuration configuration) {
        configuration.requireUnlimited();
        this.folder = configuration.nativeFolder();
        LocalEngine.loadLibrary("lawownative", folder == null ? null : folder + "/liblawownative.so");
    }

    @Override
    public Object call(String module, String export, String signature, Object... arguments) {
        Signature type = Signature.parse(signature);
        return module(module).call(export, new Arguments(type, arguments));
    }

    private NativeModule module(String text) {
        synchronized (modules) {
            NativeModule module = modules.get(text);
            if (module == null) {
                module = new NativeModule(ModuleName.parse(text), folder);
                modules.put(text, module);
            }
            return module;
        }
    }
}
