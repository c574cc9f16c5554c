from django.apps import AppConfig


class TradingDeskConfig(AppConfig):
    name = "tradingdesk"
    verbose_name = "Audit and configuration"
