package app;

import java.util.Arrays;

/** Calls each method five times and prints what came of it. */
public final class Main {
    private Main() {}

    public static void main(String[] words) {
        for (int round = 0; round < 5; round++) {
            int[] values = new int[round];
            Sums.fill(values, 7);
            System.out.println(Arrays.toString(values) + " " + Sums.sum(values));
            System.out.println(item(new long[] {1L << 40, round}, round));
            System.out.println(Sums.half(round) + " " + Sums.ratio(round - 1, round / 2) + " " + Sums.isOdd(round));
            System.out.println(Sums.cut(40000 * round) + " " + Arrays.toString(Sums.twice(values)));
            System.out.println(nothing());
        }
    }

    private static String item(long[] values, int at) {
        try {
            return String.valueOf(Sums.item(values, at));
        } catch (ArrayIndexOutOfBoundsException error) {
            return "out of bounds";
        }
    }

    private static String nothing() {
        try {
            return String.valueOf(Sums.sum(null));
        } catch (NullPointerException error) {
            return "null";
        }
    }
}
