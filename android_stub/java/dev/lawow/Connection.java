package dev.lawow;

import java.net.ProtocolException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * A client's end of one connection of the data plane, without sockets and without a clock: bytes go in by {@link #receive},
 * which returns events; bytes come out of {@link #toSend}. A violation by the other end is a {@link ProtocolException}:
 * what came in the same bytes is void, a GOODBYE waits to be sent, and the connection and its session are over. Wrong use
 * is an {@link IllegalStateException}, and nothing was sent. For one thread at a time. Defined by docs/PROTOCOL.md.
 */
abstract class Connection {
    static final int FRAME_BYTES = 1 << 20;
    static final int RESULT_BYTES = 8 << 20;

    private static final int CRITICAL_FLAGS = 0xff;
    private static final int STREAM_BYTES = 256 << 10;
    private static final int MOST_DETAIL = 1000;
    private static final int PINGS_MISSED = 2;
    private static final long PING_MILLIS = 60000;
    private static final long FRAME_MILLIS = 10000;
    private static final long HANDSHAKE_MILLIS = 5000;

    String state = StateTable.NEW;
    long peerFrameBytes = FrameWriter.CONTROL_BYTES;
    private final Inbox inbox = new Inbox(FrameWriter.CONTROL_BYTES);
    private final List<byte[]> out = new ArrayList<>();
    private final ArrayDeque<Stream> streams = new ArrayDeque<>();
    private boolean started;
    private boolean heard;
    private long heardAt;
    private long partialAt = -1;
    private int pings;

    /** The rest of a large payload on its way out. */
    private static final class Stream {
        final long id;
        final byte[] data;
        final ClientSession.Call call;
        int at;

        Stream(long id, byte[] data, int at, ClientSession.Call call) {
            this.id = id;
            this.data = data;
            this.at = at;
            this.call = call;
        }
    }

    boolean isOpen() {
        return state.equals(StateTable.OPEN);
    }

    boolean isClosed() {
        return state.equals(StateTable.CLOSED);
    }

    /** Takes bytes from the other end and returns what they mean; after the connection's end they are ignored. */
    List<Event> receive(byte[] data, int count) throws ProtocolException {
        List<Event> events = new ArrayList<>();
        if (isClosed()) {
            return events;
        }
        inbox.add(data, count);
        try {
            boolean any = false;
            for (Frame frame = inbox.next(); frame != null && !isClosed(); frame = isClosed() ? null : inbox.next()) {
                any = true;
                take(frame, events);
            }
            partialAt = any ? -1 : partialAt;
        } catch (ProtocolException error) {
            violated(error.getMessage());
            throw error;
        }
        heard = true;
        return events;
    }

    /** Returns what is to be sent now: of each large payload one piece, so that other frames get between. */
    List<byte[]> toSend() {
        for (int left = streams.size(); left > 0; left--) {
            sendPiece(streams.poll());
        }
        List<byte[]> now = new ArrayList<>(out);
        out.clear();
        return now;
    }

    boolean hasToSend() {
        return !out.isEmpty() || !streams.isEmpty();
    }

    /** Ends the connection. */
    void sendGoodbye(String code, String detail) {
        require(Op.GOODBYE);
        streams.clear();
        String text = detail.length() > MOST_DETAIL ? detail.substring(0, MOST_DETAIL) : detail;
        put(new FrameWriter(0, Op.GOODBYE).u32(0).u32(0).text(code).text(text));
        state = StateTable.CLOSED;
    }

    /** The transport is closed; the session may go on with another connection. */
    void connectionLost() {
        state = StateTable.CLOSED;
        out.clear();
        streams.clear();
    }

    /** Looks after time: PING after silence, {@code LOST} for an end that is silent or too slow; {@code now} in ms. */
    List<Event> tick(long now) {
        List<Event> events = new ArrayList<>();
        if (isClosed()) {
            return events;
        }
        if (!started || heard) {
            heardAt = now;
            pings = 0;
        }
        started = true;
        heard = false;
        boolean isGreeting = state.equals(StateTable.NEW) || state.equals(StateTable.GREETED);
        partialAt = inbox.isEmpty() ? -1 : partialAt < 0 ? now : partialAt;
        if (isGreeting && now - heardAt > HANDSHAKE_MILLIS || partialAt >= 0 && now - partialAt > FRAME_MILLIS) {
            lost("too-slow", events);
        } else if (now - heardAt > PING_MILLIS * (pings + 1)) {
            if (pings >= PINGS_MISSED) {
                lost("idle", events);
            } else if (StateTable.CONNECTION.maySend(state, "PING")) {
                put(new FrameWriter(0, Op.PING).u64(++pings));
            }
        }
        return events;
    }

    /** Takes one frame that the connection's state allows. */
    void handle(Frame frame, List<Event> events) throws ProtocolException {
        switch (frame.operation) {
            case Op.PING:
                requireConnection(frame);
                put(new FrameWriter(0, Op.PONG).u64(frame.bits()));
                break;
            case Op.PONG:
                requireConnection(frame);
                frame.bits();
                break;
            default:
                throw frame.wrong("is not allowed here");
        }
        frame.end();
    }

    /** After WELCOME frames may be large, both ways. */
    void open(long largestForPeer) {
        peerFrameBytes = largestForPeer;
        inbox.allow(FRAME_BYTES);
        state = StateTable.OPEN;
    }

    void require(int operation) {
        if (!StateTable.CONNECTION.maySend(state, Op.name(operation))) {
            throw new IllegalStateException(Op.name(operation) + " cannot be sent while the connection is " + state);
        }
    }

    void put(FrameWriter frame) {
        out.add(frame.finish());
    }

    static void requireConnection(Frame frame) throws ProtocolException {
        if (frame.id != 0) {
            throw frame.wrong("it belongs to the connection, id 0");
        }
    }

    /** Sends the arguments of a call, in parts if it must be; the call is then {@code sending} for a while. */
    void putCall(long id, long function, long deadlineMicros, byte[] arguments, ClientSession.Call call) {
        int fields = 8;
        if (fields + (long) arguments.length <= peerFrameBytes) {
            put(new FrameWriter(id, Op.CALL).u32(function).u32(deadlineMicros).raw(arguments, 0, arguments.length));
            return;
        }
        int first = (int) peerFrameBytes - fields - 4;
        put(new FrameWriter(id, Op.CALL, Op.PART).u32(function).u32(deadlineMicros).u32(arguments.length)
            .raw(arguments, 0, first));
        call.state = StateTable.SENDING;
        streams.add(new Stream(id, arguments, first, call));
    }

    void stopStream(long id) {
        for (Iterator<Stream> all = streams.iterator(); all.hasNext();) {
            if (all.next().id == id) {
                all.remove();
            }
        }
    }

    private void sendPiece(Stream stream) {
        int size = (int) Math.min(Math.min(stream.data.length - stream.at, peerFrameBytes), STREAM_BYTES);
        put(new FrameWriter(stream.id, Op.CONTINUE).raw(stream.data, stream.at, size));
        stream.at += size;
        if (stream.at < stream.data.length) {
            streams.add(stream);
        } else {
            stream.call.state = StateTable.CALL.sent(stream.call.state, "LAST", "call " + stream.id);
        }
    }

    private void take(Frame frame, List<Event> events) throws ProtocolException {
        String name = Op.name(frame.operation);
        if (name == null && frame.operation >= Op.OPTIONAL) {
            return;
        }
        int critical = frame.flags & CRITICAL_FLAGS;
        if ((critical & ~Op.PART) != 0 || critical != 0 && !Op.isBulk(frame.operation)) {
            throw frame.wrong("flags " + frame.flags);
        }
        if (name == null) {
            throw new ProtocolException("operation " + frame.operation + " is not one of this version");
        }
        if (!StateTable.CONNECTION.mayReceive(state, name)) {
            throw new ProtocolException(name + " is not allowed while the connection is " + state);
        }
        handle(frame, events);
    }

    private void violated(String detail) {
        if (StateTable.CONNECTION.maySend(state, "GOODBYE")) {
            out.clear();
            sendGoodbye("protocol-error", detail);
        }
        state = StateTable.CLOSED;
    }

    private void lost(String code, List<Event> events) {
        if (StateTable.CONNECTION.maySend(state, "GOODBYE")) {
            sendGoodbye(code, "");
        }
        state = StateTable.CLOSED;
        events.add(new Event(Event.Kind.LOST, 0).reason(code, ""));
    }
}
