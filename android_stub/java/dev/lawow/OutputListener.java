package dev.lawow;

/** Takes what a guest writes to its standard output and error (WASI). */
public interface OutputListener {
    /**
     * Takes the bytes of one call, both streams in the order they were written; not called when there are none. Runs on
     * the thread of the call, when the guest has returned or trapped.
     *
     * @param bytes up to the first 64 KiB of the call; what a guest writes beyond that is dropped
     */
    void onOutput(byte[] bytes);
}
