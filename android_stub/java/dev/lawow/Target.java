package dev.lawow;

/**
 * A place where an exported function of a WebAssembly module can run: this device ({@link LocalRuntime}) or the edge
 * ({@link RemoteClient}). Implementations may be used by any number of threads at once.
 */
public interface Target {
    /**
     * Runs one export and waits for its results.
     *
     * @param module file name and SHA-256 of the module, as in {@code fibonacci.wasm@} followed by 64 lower-case
     *     hexadecimal digits
     * @param export name of the exported function
     * @param signature core types as letters, parameters before and results after {@code >}: {@code i} i32, {@code I}
     *     i64, {@code f} f32, {@code F} f64; {@code "iI>F"} takes an int and a long and gives a double
     * @param arguments boxed values that match the letters: Integer, Long, Float, Double
     * @return null for no result, one boxed value for one result, {@code Object[]} for several
     * @throws Trap the guest trapped
     * @throws RemoteException the edge cannot be reached, or it refused or lost the call
     * @throws IllegalArgumentException the call does not fit: unknown export, other signature, wrong arguments
     * @throws IllegalStateException this app lacks a part: module, runtime, usable configuration
     */
    Object call(String module, String export, String signature, Object... arguments);
}
