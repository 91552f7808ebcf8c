copy incoming_bars from stdin with (format binary);
