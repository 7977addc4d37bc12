package dev.lawow;

/** A module in some engine of this process, and the code that the engine has of it. */
abstract class ModuleCode {
    final ModuleName name;

    /** The module, or null if it is among the app's assets. */
    final byte[] data;

    ModuleCode(ModuleName name, byte[] data) {
        this.name = name;
        this.data = data;
    }

    /** Returns the module itself. Throws {@link IllegalStateException} if it is missing or another. */
    byte[] bytes() {
        return data == null ? name.read() : data;
    }

    /**
     * Returns the code to use for a new instance; it stays valid until {@link #close}. The first call loads or compiles.
     *
     * @throws IllegalStateException the runtime or the module is missing, or the module is none; or it is closed
     */
    abstract GuestCode current();

    /** Frees the code; no call of {@link #current} may still use what it got to make an instance. */
    abstract void close();
}
