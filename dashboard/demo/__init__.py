"""A fictional hospital with several years of history, to try the register with and to measure it by.

Device types, their FDA product codes and classes are real; hospital, people, manufacturers, models, serial numbers and
every event are invented. The same seed, sizes and day give the same data.
"""

from dashboard.demo.loading import DemoRefused, Sizes, Summary, is_loaded, load, set_passwords

__all__ = ["DemoRefused", "Sizes", "Summary", "is_loaded", "load", "set_passwords"]
