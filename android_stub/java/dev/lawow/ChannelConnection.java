package dev.lawow;

import java.net.ProtocolException;
import java.util.List;

/** What a connection does for channels: messages, credit, closing, ending, opening and moving. */
abstract class ChannelConnection extends Connection {
    private static final int SEQUENCE_BYTES = 8;

    final ClientSession session;
    long mostChannels;

    ChannelConnection(ClientSession session) {
        this.session = session;
    }

    /** Opens a channel, or goes on with one whose flexible end has moved to this server; returns its new id. */
    long sendOpen(ChannelEnd end, byte[] ticket) {
        if (session.channels.size() >= mostChannels) {
            throw new IllegalStateException(session.channels.size() + " channels, which is the server's limit");
        }
        FrameWriter frame = new FrameWriter(session.lastId + 1, Op.OPEN)
            .u32(ChannelEnd.WINDOW_BYTES).u8(end.kind).u8(end.policy).u64(end.received)
            .text(end.name).text(end.type).blob(ticket);
        long id = nextId(Op.OPEN);
        end.take(end.received); // what the former host sent is no business of this one
        end.state = StateTable.OPENING;
        session.channels.put(id, end);
        put(frame);
        return id;
    }

    /** Returns a channel. Throws {@link IllegalStateException} if there is none with this id. */
    ChannelEnd channel(long id) {
        ChannelEnd end = session.channels.get(id);
        if (end == null) {
            throw new IllegalStateException("there is no channel " + id);
        }
        return end;
    }

    /** Tells whether a message of so many bytes has room now. */
    boolean canSend(long id, int bytes) {
        return StateTable.CONNECTION.maySend(state, "MESSAGE") && channel(id).hasRoom(bytes);
    }

    /** Sends a message and returns its number; it is kept until the receiver has taken it. */
    long sendMessage(long id, byte[] value) {
        require(Op.MESSAGE);
        ChannelEnd end = channel(id);
        if (!isHeld(end)) {
            step(end, "MESSAGE");
        }
        long sequence = end.keep(value);
        write(id, end);
        return sequence;
    }

    /** Says that all messages up to {@code taken} are taken. */
    void sendCredit(long id, long taken) {
        require(Op.CREDIT);
        ChannelEnd end = channel(id);
        String then = step(end, "CREDIT");
        if (end.take(taken)) {
            end.state = then;
            putCredit(id, end);
        }
        settle(id, end);
    }

    /** Sends no more messages; those of the other end still come. */
    void sendClose(long id) {
        require(Op.CLOSE);
        ChannelEnd end = channel(id);
        end.state = step(end, "CLOSE");
        end.keepClose();
        write(id, end);
    }

    /** Ends a channel in both directions, whatever is on its way; without a connection the other end learns it later. */
    void endChannel(long id, String code) {
        ChannelEnd end = channel(id);
        if (StateTable.CONNECTION.maySend(state, "RESET")) {
            step(end, "RESET");
            put(new FrameWriter(id, Op.RESET).text(code).text(""));
        }
        end.state = StateTable.CLOSED;
        session.channels.remove(id);
    }

    /** Asks the flexible end to move; what is sent meanwhile goes where it goes. */
    void sendMove(long id, String destination) {
        require(Op.MOVE);
        ChannelEnd end = channel(id);
        FrameWriter frame = new FrameWriter(id, Op.MOVE).text(destination);
        end.state = step(end, "MOVE");
        end.destination = destination;
        put(frame);
    }

    long nextId(int operation) {
        require(operation);
        if (session.lastId >= 0xffffffffL) {
            throw new IllegalStateException("the session has used all ids; begin a new one");
        }
        return ++session.lastId;
    }

    @Override
    void handle(Frame frame, List<Event> events) throws ProtocolException {
        switch (frame.operation) {
            case Op.MESSAGE:
                onMessage(frame, events);
                break;
            case Op.CREDIT:
                onCredit(frame, events);
                break;
            case Op.CLOSE:
                onClose(frame, events);
                break;
            case Op.RESET:
                onReset(frame, events);
                break;
            case Op.OPENED:
                onOpened(frame, events);
                break;
            case Op.MOVED:
                onMoved(frame, events);
                break;
            default:
                super.handle(frame, events);
        }
    }

    /** After a lost connection both ends say what they have, and send what the other has not. */
    void resume(long id, ChannelEnd end, long received) throws ProtocolException {
        if (end.state.equals(StateTable.OPENING)) {
            return;
        }
        end.writeAgain(received);
        putCredit(id, end);
        write(id, end);
        if (end.state.equals(StateTable.MOVING)) {
            put(new FrameWriter(id, Op.MOVE).text(end.destination));
        }
    }

    /** Takes a refusal to open, or to move; tells whether it was the former. */
    boolean isRefusedToOpen(Frame frame, Event refusal, List<Event> events) throws ProtocolException {
        ChannelEnd end = found(frame);
        if (end == null) {
            return false;
        }
        end.state = received(end, "REFUSED");
        if (end.state.equals(StateTable.CLOSED)) {
            session.channels.remove(frame.id);
            return true;
        }
        write(frame.id, end);
        events.add(new Event(Event.Kind.MOVE_REFUSED, frame.id).reason(refusal.code, refusal.detail));
        return false;
    }

    /** Takes the next piece of a message. */
    void continueMessage(Frame frame, List<Event> events) throws ProtocolException {
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        if (end.pieces == null || !end.pieces.add(frame.rest(), false)) {
            throw frame.wrong("a piece that does not fit");
        }
        boolean isLast = end.pieces.isWhole();
        String then = received(end, isLast ? "LAST" : "CONTINUE");
        if (isLast) {
            Pieces whole = end.pieces;
            end.pieces = null;
            deliver(frame.id, end, then, whole.first, whole.bytes(), events);
        }
    }

    private String step(ChannelEnd end, String event) {
        return StateTable.CHANNEL.sent(end.state, event, "channel " + end.name);
    }

    private static String received(ChannelEnd end, String event) throws ProtocolException {
        return StateTable.CHANNEL.received(end.state, event, "channel " + end.name);
    }

    /** Returns the channel that a frame is for, or null for one that has ended. */
    private ChannelEnd found(Frame frame) throws ProtocolException {
        ChannelEnd end = session.channels.get(frame.id);
        if (end == null && (frame.id == 0 || frame.id > session.lastId)) {
            throw frame.wrong("was never opened");
        }
        return end;
    }

    /** Whether messages are only kept, because the other end moves: they go where it goes. */
    private static boolean isHeld(ChannelEnd end) {
        return end.state.equals(StateTable.MOVING);
    }

    private void putCredit(long id, ChannelEnd end) {
        put(new FrameWriter(id, Op.CREDIT).u64(end.taken).u32(ChannelEnd.WINDOW_BYTES));
    }

    /** Sends what was not sent yet and the window has room for. */
    private void write(long id, ChannelEnd end) {
        if (end.state.equals(StateTable.OPENING) || isHeld(end)) {
            return;
        }
        for (ChannelEnd.Kept item = end.nextToWrite(); item != null; item = end.nextToWrite()) {
            if (item.value == null) {
                put(new FrameWriter(id, Op.CLOSE).u64(item.sequence));
            } else {
                putMessage(id, item.sequence, item.value);
            }
        }
    }

    private void putMessage(long id, long sequence, byte[] value) {
        if (SEQUENCE_BYTES + (long) value.length <= peerFrameBytes) {
            put(new FrameWriter(id, Op.MESSAGE).u64(sequence).raw(value, 0, value.length));
            return;
        }
        int at = (int) peerFrameBytes - SEQUENCE_BYTES - 4;
        put(new FrameWriter(id, Op.MESSAGE, Op.PART).u64(sequence).u32(value.length).raw(value, 0, at));
        while (at < value.length) {
            int size = (int) Math.min(value.length - at, peerFrameBytes);
            put(new FrameWriter(id, Op.CONTINUE).raw(value, at, size));
            at += size;
        }
    }

    private void onMessage(Frame frame, List<Event> events) throws ProtocolException {
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        long sequence = frame.u64();
        String then = received(end, frame.isPart() ? "MESSAGE_PART" : "MESSAGE");
        if (end.pieces != null) {
            throw frame.wrong("within another message on the same channel");
        }
        if (!frame.isPart()) {
            deliver(frame.id, end, then, sequence, frame.rest(), events);
            return;
        }
        long size = frame.u32();
        if (size > ChannelEnd.WINDOW_BYTES || frame.remaining() >= size) {
            throw frame.wrong("a message of " + size + " bytes in parts");
        }
        end.pieces = new Pieces(size, sequence, 0);
        end.pieces.add(frame.rest(), true);
    }

    private static void deliver(long id, ChannelEnd end, String then, long sequence, byte[] value, List<Event> events)
            throws ProtocolException {
        long missed = then.equals(StateTable.MOVED) ? -1 : end.accept(sequence, value.length);
        if (missed >= 0) {
            events.add(new Event(Event.Kind.MESSAGE, id).numbers(sequence, missed).data(value));
        }
    }

    private void onCredit(Frame frame, List<Event> events) throws ProtocolException {
        long taken = frame.u64();
        long window = frame.u32();
        frame.end();
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        end.state = received(end, "CREDIT");
        end.letGo(taken);
        end.peerWindow = window;
        if (!end.state.equals(StateTable.MOVED)) {
            events.add(new Event(Event.Kind.WRITABLE, frame.id).numbers(taken, 0));
            write(frame.id, end);
            settle(frame.id, end);
        }
    }

    private void onClose(Frame frame, List<Event> events) throws ProtocolException {
        long sequence = frame.u64();
        frame.end();
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        String then = received(end, "CLOSE");
        if (end.pieces != null) {
            throw frame.wrong("within a message");
        }
        if (then.equals(StateTable.MOVED) || !end.acceptClose(sequence)) {
            return;
        }
        end.state = then;
        events.add(new Event(Event.Kind.PEER_CLOSED, frame.id));
        write(frame.id, end);
        if (end.taken == end.closeReceived) {
            putCredit(frame.id, end);
        }
        settle(frame.id, end);
    }

    private void onReset(Frame frame, List<Event> events) throws ProtocolException {
        String code = frame.code();
        String detail = frame.text();
        frame.end();
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        end.state = received(end, "RESET");
        session.channels.remove(frame.id);
        events.add(new Event(Event.Kind.CHANNEL_ENDED, frame.id).reason(code, detail));
    }

    private void onOpened(Frame frame, List<Event> events) throws ProtocolException {
        long window = frame.u32();
        long taken = frame.u64();
        frame.end();
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        boolean wasOpening = end.state.equals(StateTable.OPENING);
        end.state = received(end, "OPENED");
        if (wasOpening) {
            end.peerWindow = window;
            end.letGo(taken);
            end.writeAgain(taken);
            write(frame.id, end);
            end.state = end.closed ? StateTable.CLIENT_CLOSED : end.state;
            events.add(new Event(Event.Kind.CHANNEL_OPENED, frame.id));
        }
    }

    private void onMoved(Frame frame, List<Event> events) throws ProtocolException {
        long taken = frame.u64();
        long sent = frame.u64();
        String endpoint = frame.text();
        byte[] ticket = frame.blob();
        frame.end();
        ChannelEnd end = found(frame);
        if (end == null) {
            return;
        }
        end.state = received(end, "MOVED");
        if (end.pieces != null || sent != end.received) {
            throw frame.wrong("after " + sent + " messages, of which " + end.received + " came");
        }
        end.letGo(taken);
        session.channels.remove(frame.id);
        put(new FrameWriter(frame.id, Op.RESET).text("moved").text(""));
        Event moved = new Event(Event.Kind.MOVED, frame.id).numbers(taken, sent).reason("", endpoint).data(ticket);
        moved.end = end;
        events.add(moved);
    }

    /** Forgets a channel of which nothing is on its way any more. */
    private void settle(long id, ChannelEnd end) {
        if (end.state.equals(StateTable.BOTH_CLOSED) && end.isSettled()) {
            end.state = StateTable.CLOSED;
            session.channels.remove(id);
        }
    }
}
