package sample;

/** What arrays.wasm does, in Java: the original of the methods that move. */
public final class ArraysWasm {
    private ArraysWasm() {}

    public static int sum(int[] items) {
        int total = 0;
        for (int item : items) {
            total += item;
        }
        return total;
    }

    public static void reverse(int[] items) {
        for (int at = 0; at < items.length / 2; at++) {
            int item = items[at];
            items[at] = items[items.length - 1 - at];
            items[items.length - 1 - at] = item;
        }
    }

    public static synchronized void scale(double[] items, double factor) {
        for (int at = 0; at < items.length; at++) {
            items[at] *= factor;
        }
    }

    public static void fill(byte[] items, int value) {
        for (int at = 0; at < items.length; at++) {
            items[at] = (byte) value;
        }
    }

    public static void invert(boolean[] items) {
        for (int at = 0; at < items.length; at++) {
            items[at] = !items[at];
        }
    }

    public static void next_chars(char[] items) {
        for (int at = 0; at < items.length; at++) {
            items[at]++;
        }
    }

    public static Integer largest_short(short[] items) {
        int largest = Short.MIN_VALUE;
        for (short item : items) {
            largest = Math.max(largest, item);
        }
        return largest;
    }

    public static long xor_longs(long[] items) {
        long result = 0;
        for (long item : items) {
            result ^= item;
        }
        return result;
    }

    public static Float sum_floats(float[] items) {
        float total = 0;
        for (float item : items) {
            total += item;
        }
        return total;
    }

    public static boolean both(int[] first, int[] second) {
        try {
            first[0] = 1;
            second[0] = 2;
        } catch (ArrayIndexOutOfBoundsException error) {
            if (second.length > 0) {
                second[0] = 2;
            }
        }
        return first == second;
    }

    public static int[] squares(int count) {
        int[] items = new int[Math.max(count, 0)];
        for (int at = 0; at < items.length; at++) {
            items[at] = at * at;
        }
        return items;
    }

    public static String upper(String text) {
        char[] letters = text.toCharArray();
        for (int at = 0; at < letters.length; at++) {
            if (letters[at] >= 'a' && letters[at] <= 'z') {
                letters[at] -= 'a' - 'A';
            }
        }
        return new String(letters);
    }

    public static String concat(String first, String second) {
        return first.concat(second);
    }

    public static int change_and_trap(int[] items) {
        throw new IllegalStateException("as the module traps: " + items.length);
    }
}
