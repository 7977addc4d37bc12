package dev.lawow;

import java.util.ArrayDeque;

/**
 * The end of a channel that moves, while it is on this device. Its code is told that it leaves by a {@link
 * ChannelClosedException}; what it has not received goes with it.
 */
public final class FlexibleEnd extends MessageEnd {
    /** In the place of a channel's id: the message never travelled. */
    static final long LOCAL = -1;

    private final ElasticChannel other;

    /** What runs at a flexible end. */
    public interface Handler {
        /** Receives and sends until the end leaves; then the end's methods throw {@link ChannelClosedException}. */
        void run(FlexibleEnd end);
    }

    FlexibleEnd(ElasticChannel other) {
        super(other.name, other.type);
        this.other = other;
        this.peerClosed = other.closed;
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
