package dev.lawow;

/** One way to make a call: here or there. */
interface Attempt {
    /** Makes the call with these arguments, and stops if it can when it is told to. */
    Object run(Object[] arguments, Cancel cancel);
}
