"""A trained network whose results are a second target."""

import dataclasses

from npbsrn.errors import UsageError, WeightsError
from npbsrn.models import Model, load
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import TrainConfig


def load_teacher(origin: Origin, config: TrainConfig) -> tuple[Model | None, Origin]:
    """Load the teacher that `origin` names.

    Parameters
    ----------
    origin : Origin
    config : TrainConfig

    Returns
    -------
    teacher : Model or None
        None where none is named.
    origin : Origin
        With the digest of the teacher's weights.

    Raises
    ------
    UsageError
        If there is a teacher without a weight in the loss, a weight without a teacher, or the scales differ.
    WeightsError
        If the file cannot be used, or its weights are not those that the run began with.
    """
    if origin.teacher is None:
        if config.distill > 0:
            raise UsageError(f"distill is {config.distill:g}, but there is no teacher; name one, or leave distill out")
        return None, origin
    if config.distill == 0:
        raise UsageError("a teacher is named, but distill is 0; set distill to its share of the loss, such as 0.5")
    teacher = load(origin.teacher, config.scale)
    if teacher.scale != config.scale:
        raise UsageError(
            f"the teacher enlarges x{teacher.scale}, the run x{config.scale}; name a teacher of this scale"
        )
    digest = str(teacher.card["sha256"])
    if origin.teacher_digest not in (None, digest):
        raise WeightsError(f"{origin.teacher} is not the teacher that this run began with; name that one")
    return teacher, dataclasses.replace(origin, teacher_digest=digest)
