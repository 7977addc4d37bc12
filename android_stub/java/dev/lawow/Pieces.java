package dev.lawow;

import java.io.ByteArrayOutputStream;

/** A payload that comes in parts, up to the last byte that has come; memory grows with the bytes. */
final class Pieces {
    final long size;

    /** The frame's own fields: of a message its number, of a result the microseconds of preparing and running. */
    final long first;

    final long second;
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    Pieces(long size, long first, long second) {
        this.size = size;
        this.first = first;
        this.second = second;
    }

    /** Adds a piece; returns false, and adds nothing, if it is empty or more than is missing. */
    boolean add(byte[] piece, boolean mayBeEmpty) {
        if (piece.length == 0 && !mayBeEmpty || data.size() + (long) piece.length > size) {
            return false;
        }
        data.write(piece, 0, piece.length);
        return true;
    }

    boolean isWhole() {
        return data.size() == size;
    }

    byte[] bytes() {
        return data.toByteArray();
    }
}
