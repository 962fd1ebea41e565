"""The local page: routes are an action and its drawing; no rule lives here."""
