copy superseded_bars from stdin with (format binary);
