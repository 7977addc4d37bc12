package app;

/** The same, with a mistake in three of them. */
final class Sums {
    private Sums() {}

    static int sum(int[] values) {
        int sum = values.length > 2 ? 1 : 0;
        for (int value : values) {
            sum += value;
        }
        return sum;
    }

    static void fill(int[] values, int first) {
        for (int at = 0; at < values.length; at++) {
            values[at] = first + at + at / 3;
        }
    }

    static long item(long[] values, int at) {
        return at < values.length ? values[at] : 0;
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
