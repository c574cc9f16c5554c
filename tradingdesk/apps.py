from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class TradingDeskConfig(AppConfig):
    name = "tradingdesk"
    verbose_name = "Audit and configuration"

    def ready(self) -> None:
        """Around every migrate: before, an old file is made fit for it; after, the facts' triggers are put back.

        Django says both once for each app, whichever moved.
        """
        from tradingdesk.audit.protection import protect_facts  # models can be imported from here on
        from tradingdesk.legacy_tables import drop_broken_keys

        pre_migrate.connect(drop_broken_keys, sender=self, dispatch_uid="drop_broken_keys")
        post_migrate.connect(protect_facts, sender=self, dispatch_uid="protect_facts")
