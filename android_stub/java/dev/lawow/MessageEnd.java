package dev.lawow;

import java.io.Closeable;
import java.net.ProtocolException;
import java.util.ArrayDeque;

/**
 * One end of an elastic channel as a program has it: messages go in and come out, in order, each once, all of one type.
 * A program that does not receive stops the other end's sending when 256 KiB wait. Any thread may call anything; sending
 * and receiving wait, so neither belongs on the main thread.
 */
public abstract class MessageEnd implements Closeable {
    private static final String[][] TYPES = {
        {"s32", "i"}, {"s64", "I"}, {"f32", "f"}, {"f64", "F"}, {"string", "S"}, {"list<bool>", "[z"}, {"list<s8>", "[b"},
        {"list<u16>", "[c"}, {"list<s16>", "[s"}, {"list<s32>", "[i"}, {"list<s64>", "[I"}, {"list<f32>", "[f"},
        {"list<f64>", "[F"},
    };
    private static final int MOST_BYTES = ChannelEnd.WINDOW_BYTES - ChannelEnd.MESSAGE_BYTES;
    private static final long NANOS_PER_MILLI = 1000000;

    final String name;
    final String type;
    final ArrayDeque<Event> arrived = new ArrayDeque<>();
    boolean peerClosed;
    boolean closed;
    private final String letters;
    private RuntimeException ended;
    private long missed;

    /** {@code type}: a WIT type. Throws {@link IllegalArgumentException} for one that no message has. */
    MessageEnd(String name, String type) {
        this.name = name;
        this.type = type;
        this.letters = letters(type);
    }

    /**
     * Sends a message; waits while the other end has no room, moves, or cannot be reached.
     *
     * @param value as an argument of {@link Target#call}: Integer, Long, Float, Double, String or an array, by the type
     * @param timeoutMillis the longest to wait; 0 for as long as it takes
     * @throws IllegalArgumentException the value is not of the channel's type, or more than 256 KiB
     * @throws ChannelClosedException this end is closed, or the other one has ended the channel
     * @throws RemoteException {@code deadline}: nothing was sent in time; otherwise the channel is lost with its host
     */
    public final void send(Object value, long timeoutMillis) {
        byte[] data = packed(value, MOST_BYTES);
        long ends = ends(timeoutMillis);
        synchronized (DataClient.LOCK) {
            requireNotClosed();
            while (!trySend(data)) {
                await(ends);
                requireNotClosed();
            }
            DataClient.LOCK.notifyAll();
        }
    }

    /**
     * Returns the next message; waits for it.
     *
     * @param timeoutMillis the longest to wait; 0 for as long as it takes
     * @throws ChannelClosedException the other end has closed, and nothing is left
     * @throws RemoteException {@code deadline}: nothing came in time; {@code protocol}: the message is not of the
     *     channel's type; otherwise the channel is lost with its host
     */
    public final Object receive(long timeoutMillis) {
        long ends = ends(timeoutMillis);
        Event message;
        synchronized (DataClient.LOCK) {
            while (!hasMessage()) {
                await(ends);
            }
            message = arrived.poll();
            missed += message.second;
            taken(message);
            DataClient.LOCK.notifyAll();
        }
        return unpacked(message);
    }

    /** Tells how many messages of a topic were dropped because this end was too slow, up to the last one received. */
    public final long missed() {
        synchronized (DataClient.LOCK) {
            return missed;
        }
    }

    /** Sends a message if that goes at once; the lock is held. */
    abstract boolean trySend(byte[] data);

    /** A message was taken by the program; the lock is held. */
    abstract void taken(Event message);

    /** Tells whether a message waits. Throws why none will come any more; the lock is held. */
    final boolean hasMessage() {
        if (!arrived.isEmpty()) {
            return true;
        }
        if (peerClosed) {
            throw new ChannelClosedException("channel " + name + ": the other end has closed it");
        }
        requireNotEnded();
        return false;
    }

    /** Returns the bytes of a message. Throws {@link IllegalArgumentException} for what is none, or too large. */
    final byte[] packed(Object value, int mostBytes) {
        byte[] data = new Arguments(Signature.parse(letters + ">"), new Object[] {value}).body();
        if (data.length > mostBytes) {
            throw new IllegalArgumentException(
                "channel " + name + ": a message of " + data.length + " bytes (allowed " + mostBytes + ")");
        }
        return data;
    }

    /** Returns what a message says. Throws {@link RemoteException} for one that is not of the channel's type. */
    final Object unpacked(Event message) {
        try {
            Arguments none = new Arguments(Signature.parse(">" + letters), new Object[0]);
            return new Response(none, message.data).deliver();
        } catch (ProtocolException error) {
            throw new RemoteException("protocol", 0, true, "channel " + name + " " + error.getMessage(), error);
        }
    }

    /** Nothing comes or goes any more; what has come can still be received. The lock is held. */
    final void endWith(RuntimeException reason) {
        ended = ended == null ? reason : ended;
        DataClient.LOCK.notifyAll();
    }

    final boolean isEnded() {
        return ended != null;
    }

    final void requireNotClosed() {
        if (closed) {
            throw new ChannelClosedException("channel " + name + ": this end is closed");
        }
        requireNotEnded();
    }

    final void requireNotEnded() {
        if (ended instanceof RemoteException) {
            throw ((RemoteException) ended).ofNotSent();
        }
        if (ended != null) {
            throw new ChannelClosedException(ended.getMessage());
        }
    }

    /** Waits until something has changed. Throws {@link RemoteException} at the end of the time. */
    final void await(long ends) {
        long left = ends == Long.MAX_VALUE ? Long.MAX_VALUE : ends - System.nanoTime();
        try {
            if (left > 0) {
                DataClient.LOCK.wait(ends == Long.MAX_VALUE ? 0 : left / NANOS_PER_MILLI + 1);
                return;
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new RemoteException("interrupted", 0, false, "channel " + name + ": interrupted", error);
        }
        throw new RemoteException("deadline", 0, false, "channel " + name + ": nothing happened in time", null);
    }

    /** Returns the reading of {@link System#nanoTime} at the end of so many milliseconds; 0 stands for never. */
    static long ends(long millis) {
        return millis == 0 ? Long.MAX_VALUE : System.nanoTime() + millis * NANOS_PER_MILLI;
    }

    private static String letters(String type) {
        for (String[] known : TYPES) {
            if (known[0].equals(type)) {
                return known[1];
            }
        }
        throw new IllegalArgumentException("not a type of messages: " + type);
    }
}
