from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TradingDeskConfig(AppConfig):
    name = "tradingdesk"
    verbose_name = "Audit and configuration"

    def ready(self) -> None:
        """Put the facts' triggers back after every migrate: Django says so once for each app, whichever moved."""
        from tradingdesk.audit.protection import protect_facts  # models can be imported from here on

        post_migrate.connect(protect_facts, sender=self, dispatch_uid="protect_facts")
