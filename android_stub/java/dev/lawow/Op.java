package dev.lawow;

/** Operations of the data plane's frames: {@code u32 length | u32 id | u16 operation | u16 flags | payload}. */
final class Op {
    static final int HELLO = 0x01;
    static final int WELCOME = 0x02;
    static final int PING = 0x03;
    static final int PONG = 0x04;
    static final int DRAIN = 0x05;
    static final int GOODBYE = 0x06;
    static final int ACK = 0x07;
    static final int BIND = 0x10;
    static final int BOUND = 0x11;
    static final int CALL = 0x12;
    static final int RESULT = 0x13;
    static final int TRAP = 0x14;
    static final int REFUSED = 0x15;
    static final int FAILED = 0x16;
    static final int CANCEL = 0x17;
    static final int CONTINUE = 0x18;
    static final int OPEN = 0x20;
    static final int OPENED = 0x21;
    static final int MESSAGE = 0x22;
    static final int CREDIT = 0x23;
    static final int CLOSE = 0x24;
    static final int RESET = 0x25;
    static final int MOVE = 0x26;
    static final int MOVED = 0x27;

    /** Flag: the payload is incomplete; the rest follows in CONTINUE frames. */
    static final int PART = 1;

    /** An operation with this bit is skipped where it is unknown; every other one ends the connection. */
    static final int OPTIONAL = 0x8000;

    /** Length, id, operation and flags. */
    static final int HEAD_BYTES = 12;

    /** What {@code length} counts beside the payload. */
    static final int COUNTED_BYTES = 8;

    private static final int GROUP = 0x10;
    private static final String[][] NAMES = {
        {"", "HELLO", "WELCOME", "PING", "PONG", "DRAIN", "GOODBYE", "ACK"},
        {"BIND", "BOUND", "CALL", "RESULT", "TRAP", "REFUSED", "FAILED", "CANCEL", "CONTINUE"},
        {"OPEN", "OPENED", "MESSAGE", "CREDIT", "CLOSE", "RESET", "MOVE", "MOVED"},
    };

    private Op() {}

    /** Returns the name of an operation of this version, or null. */
    static String name(int operation) {
        String[] group = operation / GROUP < NAMES.length ? NAMES[operation / GROUP] : NAMES[0];
        int at = operation / GROUP < NAMES.length ? operation % GROUP : 0;
        return at < group.length && !group[at].isEmpty() ? group[at] : null;
    }

    /** Tells whether values are in it, so that it may be as long as a frame may be; all others are short. */
    static boolean isBulk(int operation) {
        return operation == CALL || operation == RESULT || operation == MESSAGE || operation == CONTINUE;
    }
}
