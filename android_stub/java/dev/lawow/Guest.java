package dev.lawow;

/**
 * One instance in some engine of this process. For one thread at a time, {@link #expire} excepted, and never after {@link
 * #free}. What goes wrong in the guest is a {@link Trap}; what a host function threw comes out unchanged.
 */
interface Guest {
    /**
     * Instantiates the module: runs its start function and {@code _initialize}. Once, before anything else.
     *
     * @throws IllegalStateException the module imports what nobody offers, or needs more memory than it may have
     */
    void start();

    /**
     * Calls an export; the type that it has must be exactly this one, of numbers. Fuel is the outermost call's.
     *
     * @return the results' bits, as {@link Signature} has them
     * @throws IllegalArgumentException there is no such function; the guest was not entered
     */
    long[] call(String export, String signature, long[] bits);

    /** Tells whether the instance exports a function of this name. */
    boolean has(String export);

    /** Returns the size of the memory that the module exports as {@code memory}; 0 if it exports none. */
    long memoryBytes();

    /** Copies out of that memory; beyond its end is a trap, whose message begins with {@code subject}. */
    byte[] read(String subject, long address, int bytes);

    /** Copies into that memory, likewise. */
    void write(String subject, long address, byte[] data);

    /** Takes what the guest wrote to its standard output and error since the last time; null for nothing. */
    byte[] output();

    /** Begins a time limit that {@link #expire} ends. */
    void arm();

    /** Interrupts what runs in the instance, by any thread. */
    void expire();

    void free();
}
