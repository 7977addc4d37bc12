package dev.lawow;

import java.util.ArrayList;
import java.util.List;

/**
 * A condition on readings that does not flap. It holds no state itself, so that any number of subscribers may share it.
 *
 * <ul>
 *   <li>A trigger is inactive at first. It changes only after its condition has held for the dwell time without
 *       interruption, in every sample from the first to the last of that time; 0 changes at once.
 *   <li>{@link #below} becomes active under the limit, and inactive at limit + hysteresis; {@link #above} the other way
 *       round.
 *   <li>A metric that is absent leaves a trigger as it is, and its dwell time begins anew.
 * </ul>
 */
public abstract class Trigger {
    private Trigger() {}

    /** A trigger at work: it remembers what has been. */
    interface Watch {
        /** Takes a sample, no older than the one before, and tells whether the trigger is active now. */
        boolean update(Sample sample);
    }

    /** Returns a new watch of this condition, inactive. */
    abstract Watch watch();

    /**
     * Returns a trigger that is active below a limit, in the metric's unit, until limit + hysteresis.
     *
     * @throws IllegalArgumentException the metric's values are words; a figure is not finite; hysteresis or dwell time is
     *     negative
     */
    public static Trigger below(Metric metric, double limit, double hysteresis, double dwellSeconds) {
        requireNumber(metric, limit, hysteresis);
        return new Condition(metric, dwellSeconds) {
            @Override
            boolean holds(Reading reading, boolean isActive) {
                return reading.number() < limit + (isActive ? hysteresis : 0);
            }
        };
    }

    /**
     * Returns a trigger that is active above a limit, in the metric's unit, until limit - hysteresis.
     *
     * @throws IllegalArgumentException the metric's values are words; a figure is not finite; hysteresis or dwell time is
     *     negative
     */
    public static Trigger above(Metric metric, double limit, double hysteresis, double dwellSeconds) {
        requireNumber(metric, limit, hysteresis);
        return new Condition(metric, dwellSeconds) {
            @Override
            boolean holds(Reading reading, boolean isActive) {
                return reading.number() > limit - (isActive ? hysteresis : 0);
            }
        };
    }

    /**
     * Returns a trigger that is active while a metric of words has this one.
     *
     * @throws IllegalArgumentException the metric's values are numbers; the dwell time is negative or not finite
     */
    public static Trigger equals(Metric metric, String word, double dwellSeconds) {
        if (!metric.isText()) {
            throw new IllegalArgumentException(metric.key() + " is a number, not a word; use below() or above()");
        }
        return new Condition(metric, dwellSeconds) {
            @Override
            boolean holds(Reading reading, boolean isActive) {
                return reading.text().equals(word);
            }
        };
    }

    /**
     * Returns a trigger that is active while all parts are.
     *
     * @throws IllegalArgumentException there is none
     */
    public static Trigger allOf(Trigger... parts) {
        return new Combination(parts, true);
    }

    /**
     * Returns a trigger that is active while one of its parts is.
     *
     * @throws IllegalArgumentException there is none
     */
    public static Trigger anyOf(Trigger... parts) {
        return new Combination(parts, false);
    }

    private static void requireNumber(Metric metric, double limit, double hysteresis) {
        if (metric.isText()) {
            throw new IllegalArgumentException(metric.key() + " is a word, not a number; use equals()");
        }
        if (Double.isNaN(limit) || Double.isInfinite(limit)) {
            throw new IllegalArgumentException("limit is " + limit + "; allowed are finite numbers");
        }
        requireNotNegative("hysteresis", hysteresis);
    }

    private static void requireNotNegative(String name, double found) {
        if (!(found >= 0) || Double.isInfinite(found)) {
            throw new IllegalArgumentException(name + " is " + found + "; allowed are finite numbers from 0");
        }
    }

    /** A condition on one metric, with its dwell time. */
    private abstract static class Condition extends Trigger {
        final Metric metric;
        final double dwellSeconds;

        Condition(Metric metric, double dwellSeconds) {
            requireNotNegative("dwellSeconds", dwellSeconds);
            this.metric = metric;
            this.dwellSeconds = dwellSeconds;
        }

        /** Tells whether the trigger ought to be active at this value, given what it is. */
        abstract boolean holds(Reading reading, boolean isActive);

        @Override
        Watch watch() {
            return new Dwelling(this);
        }
    }

    private static final class Dwelling implements Watch {
        private final Condition condition;
        private boolean isActive;
        private boolean isChanging;
        private double changingSince;

        Dwelling(Condition condition) {
            this.condition = condition;
        }

        @Override
        public boolean update(Sample sample) {
            Reading reading = sample.get(condition.metric);
            if (reading == null || condition.holds(reading, isActive) == isActive) {
                isChanging = false;
                return isActive;
            }
            if (!isChanging) {
                isChanging = true;
                changingSince = sample.seconds();
            }
            if (sample.seconds() - changingSince >= condition.dwellSeconds) {
                isActive = !isActive;
                isChanging = false;
            }
            return isActive;
        }
    }

    private static final class Combination extends Trigger {
        private final Trigger[] parts;
        private final boolean isAll;

        Combination(Trigger[] parts, boolean isAll) {
            if (parts.length == 0) {
                throw new IllegalArgumentException("a combination of triggers needs at least one");
            }
            this.parts = parts.clone();
            this.isAll = isAll;
        }

        @Override
        Watch watch() {
            List<Watch> watches = new ArrayList<>();
            for (Trigger part : parts) {
                watches.add(part.watch());
            }
            return new Combined(watches, isAll);
        }
    }

    private static final class Combined implements Watch {
        private final List<Watch> parts;
        private final boolean isAll;

        Combined(List<Watch> parts, boolean isAll) {
            this.parts = parts;
            this.isAll = isAll;
        }

        @Override
        public boolean update(Sample sample) {
            int active = 0;
            for (Watch part : parts) { // each sees every sample
                active += part.update(sample) ? 1 : 0;
            }
            return isAll ? active == parts.size() : active > 0;
        }
    }
}
