"""The Notifier: sources, triggers, subscribers, with a clock that the tests set."""
