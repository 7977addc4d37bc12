package dev.lawow;

/**
 * The functions of liblawownative, which calls what was compiled for this processor. Handles are addresses and stay valid
 * as long as the process lives. Nothing looks up a Java name.
 */
final class NativeCode {
    private NativeCode() {}

    /**
     * Opens a module's library; {@code digest} is that of the WebAssembly module of the same sources.
     *
     * @param library a path, or a bare name for one of the app's libraries
     * @param module takes the handle
     * @return null, or what is wrong
     */
    static native byte[] open(byte[] library, byte[] digest, long[] module);

    /** Finds a function; 0 if there is none of this name, -1 if its signature is another. */
    static native long find(long module, byte[] export, byte[] signature);

    /**
     * Calls a function. The caller sees to it that one module runs one call at a time.
     *
     * @param body the arguments as {@link Arguments#body} lays them out
     * @param comesBack whether the body takes what the function wrote into its lists
     * @param result takes the bits of a number, and 1 if the function has run: else there was no memory for the call
     * @return the contents of a string or list; null for a number, and for more than 2 GiB
     */
    static native byte[] call(long function, byte[] body, boolean comesBack, long[] result);
}
