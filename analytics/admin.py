"""The overview is this app's page in the back office."""

from django.contrib import admin

admin.site.index_template = "analytics/overview.html"
admin.site.index_title = "Overview"
