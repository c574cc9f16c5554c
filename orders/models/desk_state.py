from django.db import models


class DeskState(models.Model):
    """The one row about the desk itself.

    `restore_epoch` is 1 until the database is restored for the first time; then it comes from the time of the restore
    (`orders.ids`), and is in every id we make.
    """

    restore_epoch = models.PositiveIntegerField(default=1)

    class Meta:
        db_table = "desk_state"

    def __str__(self) -> str:
        return f"epoch {self.restore_epoch}"
