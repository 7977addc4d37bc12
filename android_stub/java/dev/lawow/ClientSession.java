package dev.lawow;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What outlives a connection of the data plane: calls without an outcome, channels, and the session's secret name. */
final class ClientSession {
    final Map<Long, Call> calls = new LinkedHashMap<>();
    final Map<Long, ChannelEnd> channels = new LinkedHashMap<>();
    byte[] token = new byte[0];
    long lastId;
    long callBytes;
    int bindings;

    /** A call or a binding without an outcome. */
    static final class Call {
        final int size;
        final boolean isBinding;
        String state = StateTable.RUNNING;
        Pieces pieces;

        /** {@code size}: bytes of the arguments. */
        Call(int size, boolean isBinding) {
            this.size = size;
            this.isBinding = isBinding;
        }
    }

    /** Removes a call that has its outcome. */
    Call endCall(long id) {
        Call call = calls.remove(id);
        callBytes -= call.size;
        return call;
    }

    /** Forgets what was on its way; returns the calls that were not sent whole, which never started. */
    List<Long> connectionLost() {
        List<Long> partial = new ArrayList<>();
        for (Map.Entry<Long, Call> entry : calls.entrySet()) {
            Call call = entry.getValue();
            call.pieces = null;
            if (call.state.equals(StateTable.SENDING) || call.state.equals(StateTable.STOPPING)) {
                partial.add(entry.getKey());
            } else {
                call.state = StateTable.RUNNING;
            }
        }
        for (ChannelEnd channel : channels.values()) {
            channel.pieces = null;
        }
        return partial;
    }
}
