"""When the lines of a log came, as far as this viewer saw it: the engine does not stamp them."""

import math
from array import array
from bisect import bisect_right


class Sightings:
    """Call ``saw`` at each look; a line that was there before anyone looked has no time."""

    def __init__(self) -> None:
        self._begins, self._times = array("Q"), array("d")
        self._upto = 0

    def saw(self, lines: int, at: float | None) -> None:
        """There are so many lines now. ``at`` is None where the look before was too long ago to say when they came."""
        if lines <= self._upto:
            return
        time = math.nan if at is None else float(int(at))
        last = self._times[-1] if self._times else None
        if last is None or not (time == last or (math.isnan(time) and math.isnan(last))):
            self._begins.append(self._upto)
            self._times.append(time)
        self._upto = lines

    def of(self, line: int) -> float | None:
        """When a line came, to the second."""
        at = bisect_right(self._begins, line) - 1
        return None if at < 0 or math.isnan(self._times[at]) else self._times[at]
