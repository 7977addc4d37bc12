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
     * @param signature types, parameters before and results after {@code >}. Numbers: {@code i} i32, {@code I} i64,
     *     {@code f} f32, {@code F} f64, so that {@code "iI>F"} takes an int and a long and gives a double. {@code S} is
     *     a string; {@code [} and an element is a list; {@code &[} and an element, as a parameter, is a list whose
     *     contents after the call come back. Elements: {@code z} boolean, {@code b} byte, {@code c} char, {@code s}
     *     short, {@code i} int, {@code I} long, {@code f} float, {@code F} double. A string or list is the only result.
     * @param arguments what the types say: Integer, Long, Float, Double, String, arrays of primitives. An array that
     *     is given twice is one list for the guest, too
     * @return null for no result, one boxed value, string or array for one result, {@code Object[]} for several
     * @throws NullPointerException an argument is null
     * @throws Trap the guest trapped
     * @throws RemoteException the edge cannot be reached, or it refused or lost the call
     * @throws IllegalArgumentException the call does not fit: unknown export, other signature, wrong arguments
     * @throws IllegalStateException this app lacks a part: module, runtime, usable configuration
     */
    Object call(String module, String export, String signature, Object... arguments);
}
