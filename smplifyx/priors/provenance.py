"""Which motion capture the priors that ship with the package have never seen."""

from __future__ import annotations

#: CMU subjects kept out of all training: everyday actions, walking styles, running, basketball, dance; a fifth of
#: the frames. Evaluations draw their poses from these people.
HELD_OUT_SUBJECTS: tuple[str, ...] = ("06", "07", "13", "16", "49", "91")
