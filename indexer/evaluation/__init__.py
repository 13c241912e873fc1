"""A catalogue and its interactions to figures: how well a method ranks what was picked next."""
