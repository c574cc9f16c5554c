"""The back office's side bar."""

SIDEBAR = {"show_search": True, "show_all_applications": True}
