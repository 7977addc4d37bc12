package dev.lawow;

import java.util.ArrayDeque;

/**
 * The end of a channel that moves, while it is on this device. Its code is told that it leaves by a {@link
 * ChannelClosedException}; what it has not received goes with it. Code that answers each message calls {@link #answer}:
 * between {@code receive} and {@code send} the end may leave, and the answer be lost.
 */
public final class FlexibleEnd extends MessageEnd {
    /** In the place of a channel's id: the message never travelled. */
    static final long LOCAL = -1;

    private static final int ANSWER_BYTES = ChannelEnd.WINDOW_BYTES / 2;

    private final ElasticChannel other;

    /** What runs at a flexible end. */
    public interface Handler {
        /** Receives and sends until the end leaves; then the end's methods throw {@link ChannelClosedException}. */
        void run(FlexibleEnd end);
    }

    /** What answers a message. */
    public interface Answer {
        /** Returns the answer to a message, of the channel's type. Runs while the end cannot leave, so it should be quick. */
        Object to(Object message);
    }

    FlexibleEnd(ElasticChannel other) {
        super(other.name, other.type);
        this.other = other;
        this.peerClosed = other.closed;
    }

    /**
     * Takes the next message and sends the answer in one step: a move comes before or after both. If {@code answer} throws,
     * the message was not taken.
     *
     * @param timeoutMillis the longest to wait for a message, and for room for its answer; 0 for as long as it takes
     * @throws IllegalArgumentException the answer is not of the channel's type, or more than 128 KiB
     * @throws ChannelClosedException the end has left or is closed, or the other one has closed and nothing is left
     * @throws RemoteException as {@link #receive}
     */
    public void answer(Answer answer, long timeoutMillis) {
        long ends = ends(timeoutMillis);
        synchronized (DataClient.LOCK) {
            requireNotClosed();
            while (!hasMessage() || !other.hasRoomFor(ANSWER_BYTES)) {
                await(ends);
                requireNotClosed();
            }
            byte[] data = packed(answer.to(unpacked(arrived.peek())), ANSWER_BYTES);
            arrived.poll();
            trySend(data);
            DataClient.LOCK.notifyAll();
        }
    }

    /** Tells whether a message of so many bytes has room in a window beside those that wait. */
    static boolean hasRoom(ArrayDeque<Event> waiting, int bytes) {
        long sum = bytes + ChannelEnd.MESSAGE_BYTES;
        for (Event message : waiting) {
            sum += message.data.length + ChannelEnd.MESSAGE_BYTES;
        }
        return sum <= ChannelEnd.WINDOW_BYTES;
    }

    void start(final Handler code) {
        Thread thread = new Thread("lawow-flexible-end") {
            @Override
            public void run() {
                try {
                    code.run(FlexibleEnd.this);
                } catch (ChannelClosedException error) {
                    return; // the end has left, as it may at any time
                } finally {
                    close();
                }
            }
        };
        thread.setDaemon(true);
        thread.start();
    }

    /** Takes a message of the stationary end, if there is room. */
    boolean offer(byte[] data) {
        if (!hasRoom(arrived, data.length)) {
            return false;
        }
        put(data);
        return true;
    }

    /** Takes what was on its way; null for the CLOSE. */
    void put(byte[] data) {
        if (data == null) {
            peerClosed = true;
        } else {
            arrived.add(new Event(Event.Kind.MESSAGE, LOCAL).data(data));
        }
    }

    @Override
    boolean trySend(byte[] data) {
        if (!other.hasRoomFor(data.length)) {
            return false;
        }
        other.arrived.add(new Event(Event.Kind.MESSAGE, LOCAL).data(data));
        return true;
    }

    @Override
    void taken(Event message) {
        // it never travelled, so nobody has to be told
    }

    /** Sends no more; what the stationary end sends is still received. Unless the end has left, it is over for both. */
    @Override
    public void close() {
        synchronized (DataClient.LOCK) {
            if (!isEnded() && !closed) {
                closed = true;
                other.peerClosed = true;
                DataClient.LOCK.notifyAll();
            }
        }
    }
}
