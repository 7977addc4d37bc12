package dev.lawow;

import java.util.List;

/** What runs WebAssembly in this process. */
abstract class Engine {
    /** Comes with {@code lawow pack --runtime java}, and needs the library Endive; nothing else here names either. */
    private static final String IN_JAVA = "dev.lawow.EndiveEngine";

    /**
     * Returns the engine that the app was packed with.
     *
     * @throws IllegalStateException a class of it is missing
     */
    static Engine of(Configuration configuration) {
        if (!configuration.isJava()) {
            return new WasmtimeEngine();
        }
        try {
            return (Engine) Class.forName(IN_JAVA).newInstance();
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(IN_JAVA + " is not in this app; pack it with --runtime java", error);
        } catch (LinkageError error) {
            throw new IllegalStateException(
                "Endive is not in this app (" + error.getMessage() + "); add run.endive:runtime to its dependencies", error);
        }
    }

    /**
     * Loads what the engine needs, if that has not happened yet.
     *
     * @throws IllegalStateException a part is missing, is for another processor or is another version
     */
    abstract void prepare(Configuration configuration);

    /**
     * Returns a module, which nobody has read or compiled yet.
     *
     * @param data the module, or null if it is among the app's assets
     * @param fuel of each call; 0 for no limit
     * @param deadlineNanos longest time of each call; 0 for no limit
     * @throws IllegalStateException the engine does not know a limit or a setting
     */
    abstract ModuleCode load(
            ModuleName name, byte[] data, long fuel, long deadlineNanos, List<HostCalls.Import> imports,
            Configuration configuration);
}
