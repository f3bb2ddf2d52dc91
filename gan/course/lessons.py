"""The course: all lessons, in order."""

from gan.course.lesson import Lesson
from gan.course.losses import LOSSES
from gan.course.plane import PLANE
from gan.course.rules import RULES
from gan.course.transposed import TRANSPOSED

LESSONS: dict[str, Lesson] = {lesson.id: lesson for lesson in (PLANE, LOSSES, TRANSPOSED, RULES)}
