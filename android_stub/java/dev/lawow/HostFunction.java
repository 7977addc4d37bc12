package dev.lawow;

/**
 * A function of the app that a guest imports. It is called on the thread that called the guest, while the guest waits;
 * with several instances on several threads, on several at once. The time that it takes counts for the guest's deadline,
 * which ends the guest when it goes on, but not this function.
 */
public interface HostFunction {
    /**
     * Does what the guest asks for.
     *
     * @param caller the instance that calls; its memory may be read and written, and its exports called, until this
     *     method returns
     * @param arguments values of the parameters' types, as {@link Target#call} takes them: boxed numbers, String, arrays
     *     of primitives. Strings and arrays are copies of what the guest gave by address and count
     * @return one boxed number, or an {@code Object[]} of them for several results; ignored (or null) for no result
     * @throws RuntimeException or an Error: it ends the guest's call and reaches the caller of that unchanged
     */
    Object call(WasmInstance caller, Object[] arguments);
}
