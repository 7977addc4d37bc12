/** A class as `lawow pack` makes it; `lawow refactor` lets its method run on the edge. */
public final class CounterWasm {
    private CounterWasm() {}

    public static native int add(int number);
}
