package app;

/** Methods that only compute, one for each kind of result. */
final class Sums {
    private Sums() {}

    static int sum(int[] values) {
        int sum = 0;
        for (int value : values) {
            sum += value;
        }
        return sum;
    }

    static void fill(int[] values, int first) {
        for (int at = 0; at < values.length; at++) {
            values[at] = first + at;
        }
    }

    static long item(long[] values, int at) {
        return values[at];
    }

    static double half(double value) {
        return value / 2;
    }

    static float ratio(float one, float other) {
        return one / other;
    }

    static boolean isOdd(int value) {
        return (value & 1) == 1;
    }

    static short cut(int value) {
        return (short) value;
    }

    static int[] twice(int[] values) {
        int[] made = new int[values.length];
        for (int at = 0; at < made.length; at++) {
            made[at] = 2 * values[at];
        }
        return made;
    }
}
