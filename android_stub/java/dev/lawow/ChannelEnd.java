package dev.lawow;

import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;

/**
 * The stationary end of one channel, whatever carries it: what was sent and not taken yet, what was received, how far both
 * got. Messages are numbered from 1 in each direction, CLOSE is as well. What the other end has not taken is kept, so that
 * nothing is lost with a connection or in a move; what came already is dropped, so that nothing comes twice.
 */
final class ChannelEnd {
    /** What each message counts beside its value, so that empty ones are not free. */
    static final int MESSAGE_BYTES = 16;

    static final int WINDOW_BYTES = 256 << 10;
    static final int DROP_OLDEST = 1;
    private static final byte[] TICKET_MARK = {'h', 'e', 'r', 'e'};
    private static final int TICKET_BYTES = 20;

    final int kind;
    final int policy;
    final String name;
    final String type;
    final ArrayDeque<Kept> kept = new ArrayDeque<>();
    String state = StateTable.IDLE;
    String destination = "";
    long sent;
    long received;
    long taken;
    long closeReceived;
    long peerWindow;
    boolean closed;
    Pieces pieces;
    private long written;
    private int keptBytes;
    private int untakenBytes;
    private final ArrayDeque<long[]> untaken = new ArrayDeque<>();

    /** A message that the other end has not taken; {@code value} is null for the CLOSE. */
    static final class Kept {
        final long sequence;
        final byte[] value;

        Kept(long sequence, byte[] value) {
            this.sequence = sequence;
            this.value = value;
        }

        int bytes() {
            return value == null ? 0 : value.length + MESSAGE_BYTES;
        }
    }

    /** Returns the ticket for a flexible end that its client carries to a host that does not know the former one. */
    static byte[] ticket(long received, long sent) {
        ByteBuffer ticket = ByteBuffer.allocate(TICKET_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        return ticket.put(TICKET_MARK).putLong(received).putLong(sent).array();
    }

    ChannelEnd(int kind, int policy, String name, String type) {
        this.kind = kind;
        this.policy = policy;
        this.name = name;
        this.type = type;
    }

    boolean hasRoom(int bytes) {
        return (long) keptBytes + bytes + MESSAGE_BYTES <= peerWindow;
    }

    /** Numbers a message and keeps it until it is taken. Throws {@link IllegalStateException} beyond the window. */
    long keep(byte[] value) {
        if (!hasRoom(value.length)) {
            throw new IllegalStateException("channel " + name + ": the other end has no room for " + value.length + " bytes");
        }
        kept.add(new Kept(++sent, value));
        keptBytes += value.length + MESSAGE_BYTES;
        return sent;
    }

    void keepClose() {
        closed = true;
        kept.add(new Kept(++sent, null));
    }

    /** The other end has all up to {@code upTo}. */
    void letGo(long upTo) throws ProtocolException {
        requireSent(upTo);
        while (!kept.isEmpty() && kept.peek().sequence <= upTo) {
            keptBytes -= kept.poll().bytes();
        }
    }

    /** The other end, or the next one, has all up to {@code upTo}: what follows is written again. */
    void writeAgain(long upTo) throws ProtocolException {
        requireSent(upTo);
        written = upTo;
    }

    boolean hasUnwritten() {
        return written < sent;
    }

    /** Returns the next message that the window has room for and the connection has not been given, or null. */
    Kept nextToWrite() {
        long used = 0;
        for (Kept item : kept) {
            used += item.bytes();
            if (used > peerWindow) {
                return null;
            }
            if (item.sequence > written) {
                written = item.sequence;
                return item;
            }
        }
        return null;
    }

    /** Returns how many messages before this one are missing, or -1 for one that was here already. */
    long accept(long sequence, int bytes) throws ProtocolException {
        long missed = advance(sequence);
        if (missed >= 0) {
            untaken.add(new long[] {sequence, bytes + MESSAGE_BYTES});
            untakenBytes += bytes + MESSAGE_BYTES;
            if (untakenBytes > WINDOW_BYTES) {
                throw new ProtocolException("channel " + name + ": message " + sequence + " is beyond the credit");
            }
        }
        return missed;
    }

    /** Takes note of the other end's CLOSE; tells whether it is new. */
    boolean acceptClose(long sequence) throws ProtocolException {
        if (advance(sequence) < 0) {
            return false;
        }
        closeReceived = sequence;
        takeClose();
        return true;
    }

    /** This end has all up to {@code upTo}; tells whether that is news for the other end. */
    boolean take(long upTo) {
        if (upTo > received) {
            throw new IllegalStateException("channel " + name + ": message " + upTo + " was not received");
        }
        long before = taken;
        while (!untaken.isEmpty() && untaken.peek()[0] <= upTo) {
            untakenBytes -= (int) untaken.poll()[1];
        }
        taken = Math.max(taken, upTo);
        takeClose();
        return taken > before;
    }

    /** Tells whether both ends have closed and have all that the other sent. */
    boolean isSettled() {
        return closed && kept.isEmpty() && taken > 0 && closeReceived == taken;
    }

    private void requireSent(long upTo) throws ProtocolException {
        if (upTo > sent) {
            throw new ProtocolException("channel " + name + ": took " + upTo + ", but " + sent + " was the last sent");
        }
    }

    private long advance(long sequence) throws ProtocolException {
        if (sequence <= received) {
            return -1;
        }
        long missed = sequence - received - 1;
        if (missed > 0 && policy != DROP_OLDEST) {
            throw new ProtocolException("channel " + name + ": message " + sequence + " after " + received);
        }
        if (closeReceived > 0) {
            throw new ProtocolException("channel " + name + ": message " + sequence + " after CLOSE");
        }
        received = sequence;
        return missed;
    }

    /** CLOSE is taken as soon as all before it are. */
    private void takeClose() {
        if (closeReceived > 0 && untaken.isEmpty()) {
            taken = closeReceived;
        }
    }
}
