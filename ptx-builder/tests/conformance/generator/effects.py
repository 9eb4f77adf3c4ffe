"""Cases of instructions that do more than compute."""

from . import asynchronous, atomics, barriers, control, matrices, memory, others, products, warp


def case(form):
    """The form's case, or none where its results follow from its sources."""
    for module in (others, memory, atomics, asynchronous, warp, barriers, matrices, products, control):
        made = module.case(form)
        if made:
            return made
    return None
