"""The demo's Activity on Android's own framework classes, without a phone."""
