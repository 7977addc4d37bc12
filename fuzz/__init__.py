"""Feeds damaged files to every parser of `lawow.formats`, for as long as you like: ``make fuzz TIME=600``."""
