"""The course: all lessons, in order."""

from gan.course.batch_norm import BATCH_NORM
from gan.course.clinic import CLINIC
from gan.course.lesson import Lesson
from gan.course.losses import LOSSES
from gan.course.plane import PLANE
from gan.course.real_or_fake import REAL_OR_FAKE
from gan.course.rules import RULES
from gan.course.space import SPACE
from gan.course.transposed import TRANSPOSED

LESSONS: dict[str, Lesson] = {lesson.id: lesson for lesson in (REAL_OR_FAKE, PLANE, LOSSES, TRANSPOSED, BATCH_NORM, RULES, CLINIC, SPACE)}
