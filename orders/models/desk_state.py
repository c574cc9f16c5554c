from django.db import models


class DeskState(models.Model):
    """The one row about the desk itself. `restore_epoch` goes up with every restore, and is in every id we make."""

    restore_epoch = models.PositiveIntegerField(default=1)

    class Meta:
        db_table = "desk_state"

    def __str__(self) -> str:
        return f"epoch {self.restore_epoch}"
