"""Values to plain JSON and back, by annotation, planned once per function.

What annotations name travels as people would write it: ISO 8601, text, base64, arrays and
objects.  Where nothing is named (no annotation, ``Any``), a short list of types travels under
a tag.
Nothing is ever imported or called because a payload names it.
"""

from __future__ import annotations

from litestar_queues_core.conversion.codec import Codec, Refusal, refuse_foreign
from litestar_queues_core.conversion.functions import FunctionPlan, plan_function
from litestar_queues_core.conversion.ordering import canonical
from litestar_queues_core.conversion.planner import UNTYPED, codec_for

__all__ = [
    "UNTYPED",
    "Codec",
    "FunctionPlan",
    "Refusal",
    "canonical",
    "codec_for",
    "plan_function",
    "refuse_foreign",
]
