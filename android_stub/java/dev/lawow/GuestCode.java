package dev.lawow;

/** What instances of a module are made of; valid until its {@link ModuleCode} is closed. */
interface GuestCode {
    /**
     * Makes an instance in which nothing has run yet.
     *
     * @param memoryBytes most linear memory that it may have
     * @param fuel of each call; 0 for no limit, and for code that was made without one
     * @param host the app's functions, or null if the code was made without any
     */
    Guest newGuest(long memoryBytes, long fuel, HostCalls host);
}
