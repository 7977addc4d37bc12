package sample;

/** An object with state, of which there may be several. */
public class TotalWasm implements AutoCloseable {
    private int total;
    private boolean closed;

    public int accumulate(int value) {
        return add(value);
    }

    private int add(int value) {
        total += value;
        return total;
    }

    public boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        closed = true;
    }
}
